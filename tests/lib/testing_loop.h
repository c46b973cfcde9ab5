/* SPDX-License-Identifier: MIT */
#pragma once

/* Waiting without sleeping: the loop runs until what is waited for has happened. */

#include <check.h>
#include <stdint.h>
#include <time.h>

#include <systemd/sd-event.h>

/* The machine may be busy with other things: patience costs nothing where all is well. */
#define TESTING_PATIENCE_USEC (60 * UINT64_C(1000000))

static inline uint64_t testing_now_usec(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* Fails the test if the condition does not come true. */
#define RUN_UNTIL(event, condition)                                                             \
        do {                                                                                    \
                uint64_t give_up_usec = testing_now_usec() + TESTING_PATIENCE_USEC;             \
                while (!(condition)) {                                                          \
                        ck_assert_msg(testing_now_usec() < give_up_usec,                        \
                                      "waited in vain for " #condition);                        \
                        ck_assert_int_ge(sd_event_run(event, 10000), 0);                        \
                }                                                                               \
        } while (0)

/* Runs the loop until nobody has anything to do but to wait for time to pass, or for somebody in
 * another process. */
static inline void testing_run_until_quiet(sd_event *event)
{
        unsigned n_turns = 0;

        for (int r; (r = sd_event_run(event, 0)) != 0;) {
                ck_assert_int_ge(r, 0);
                ck_assert_msg(++n_turns < 1000000, "the loop never comes to rest");
        }
}
