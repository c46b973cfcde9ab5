// SPDX-License-Identifier: MIT

import java.util.concurrent.ForkJoinPool;

/** Says twice a second how many processors Java sees now, and what its common pool was sized for. */
class Threads {
    public static void main(String[] arguments) throws InterruptedException {
        // The pool leaves one processor to the thread that asks it.
        int pool = ForkJoinPool.getCommonPoolParallelism() + 1;

        for (;;) {
            System.out.println("now=" + Runtime.getRuntime().availableProcessors() + " pool=" + pool);
            Thread.sleep(500);
        }
    }
}
