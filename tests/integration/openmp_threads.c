/* SPDX-License-Identifier: MIT */

/* A program with a thread pool that nobody configured: says twice a second how many threads OpenMP
 * would start now and how many it did start at first. Where the compiler has no OpenMP it says so and
 * ends with status 77. For test_coallocctl_doctor.sh and the laboratory. */

#include <stdio.h>
#include <time.h>

#ifdef _OPENMP
#include <omp.h>

int main(void)
{
        int n_started = 0;

#pragma omp parallel
#pragma omp single
        n_started = omp_get_num_threads();

        for (;;) {
                (void)printf("now=%d pool=%d\n", omp_get_max_threads(), n_started);
                if (fflush(stdout) != 0)
                        return 1;
                (void)nanosleep(&(struct timespec) { .tv_nsec = 500000000 }, NULL);
        }
}
#else
int main(void)
{
        (void)fprintf(stderr, "built by a compiler without OpenMP\n");
        return 77;
}
#endif
