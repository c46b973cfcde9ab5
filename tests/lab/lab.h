/* SPDX-License-Identifier: MIT */
/*
 * What the generator and the services of the laboratory agree on: what a request looks like and how
 * random numbers follow from a seed.
 */
#ifndef COALLOC_LAB_H
#define COALLOC_LAB_H

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#define NSEC_PER_USEC UINT64_C(1000)
#define NSEC_PER_SEC UINT64_C(1000000000)
#define USEC_PER_SEC UINT64_C(1000000)

/* A request; the answer is the same bytes. */
struct lab_request {
        uint64_t identity;      /* what it costs follows from this and from who serves it */
        uint32_t i_window;      /* where the generator notes the answer */
        uint32_t i_request;
};

/* splitmix64: small, and the same everywhere. */
static inline uint64_t lab_random(uint64_t *state) {
        uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        return z ^ (z >> 31);
}

static inline double lab_exponential(uint64_t *state, double mean) {
        double uniform = ((double) (lab_random(state) >> 11) + 0.5) / 9007199254740992.0; /* 2^53 */

        return -log(uniform) * mean;
}

/* A path that is too long is cut; the paths here are short. */
static inline void lab_address(const char *path, struct sockaddr_un *ret) {
        *ret = (struct sockaddr_un) { .sun_family = AF_UNIX };
        (void) snprintf(ret->sun_path, sizeof ret->sun_path, "%s", path);
}

#endif
