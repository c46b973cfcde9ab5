/* SPDX-License-Identifier: MIT */
#pragma once

/* Structured log: to the journal with fields when that is where standard error goes, as plain text
 * otherwise. Logging may fail silently; it never fails its caller. Only daemon code logs, once, where
 * a decision is taken: *err* we stopped working, *warning* an administrator should look, *notice* we
 * changed a machine, *info* life cycle, *debug* numbers. */

#include <stdint.h>
#include <syslog.h>

/* Message identifiers; explained in conf/coalloc.catalog and listed in coallocd(8). */
#define MSG_STARTED             "7d71f443f5d05d0e62249efd8852051c"
#define MSG_STOPPED             "60b1a9a3d605d014e64acd33d5a005dd"
#define MSG_CONFIG_LOADED       "1f5d6f6ba92ab4841188ec0c32cd9bb5"
#define MSG_CONFIG_REJECTED     "7b4ff0cabbc9dfbe00274f072dd0cbb3"
#define MSG_TIER_CHANGED        "760f7459dc7b3f18b1efc7e08ad7b2ea"
#define MSG_GATE_HELD           "f388ee8b3b413120cc17b62c1c2cc3df"
#define MSG_GATE_ROLLED_BACK    "9a50e587292631584e360678f0488b0e"
#define MSG_UNIT_MANAGED        "50acad6f667e5d3a9a000913791ee63c"
#define MSG_UNIT_FOREIGN        "8f7af0aa2c7a388004775d943ee7ad49"
#define MSG_UNIT_REFUSED        "e461e86afb5304f8f473b1d71de935c0"
#define MSG_UNIT_STALE          "cf9e97289a0f288a7e5ba57b614590e5"
#define MSG_UNIT_GIVEN_BACK     "f5f6c0600afa786091bcd1b38bd6969e"
#define MSG_UNIT_NOT_GIVEN_BACK "0ac76f3e84b9b49dc43542fd2d349b4d"
#define MSG_BUS_LOST            "d99739c77b00ce0cc6e2ff2e788d16f7"
#define MSG_BUS_BACK            "9517b4f403314ab3bbf4fb99b188fdd5"
#define MSG_MODE_CHANGED        "0f1f60a1092c64f048fe2fab295a5ae0"
#define MSG_EPOCH_FAILED        "1e9a1553b24ae2012fe91099af40d4c6"
#define MSG_HOST_UNFIT          "9ce4276e21769b87d884df0bc1a3992c"
#define MSG_NOT_PUBLISHED       "5c8fe106dbc24f36b4b63f0ee5793d68"
#define MSG_CPUS_CHANGED        "276175a0714b475c9f454e93895a0bad"
#define MSG_STATE_UNUSABLE      "f2787ddc73774be2b8a798e4db4f9391"
#define MSG_STATE_DAMAGED       "18e34cd78feb362ca0a1b3533a0092ad"
#define MSG_CREDITS_UNUSABLE    "d8ffac4029224b09b6166788cae8b39b"
#define MSG_CREDITS_DAMAGED     "b0b8e1d4aec241c3b09e885f5e494f26"
#define MSG_HISTORY_FAILED      "b21d1f0a43cf4d28a5a1a0a2a5f0c6e9"
#define MSG_HISTORY_DAMAGED     "4c5b6c2f98a04f0fb3de0a1ad34c1d75"
#define MSG_BURST_FAILED        "51cb932f5c0b49a88c6dcaa93848fa17"
#define MSG_PATHS_LIMITED       "e2011afab34a4244bbf5f1bcd334bb4d"
#define MSG_GUARD_RAISED        "5bd157996ea64c2e8d6d8e310a73257c"

/* What a message is about. Zero and NULL fields are left out. */
struct journal_fields {
        const char *message_id;
        const char *unit;               /* COALLOC_UNIT= */
        const char *reason;             /* COALLOC_REASON= */
        uint64_t epoch;                 /* COALLOC_EPOCH= */
        uint64_t quota_usec_per_sec;    /* COALLOC_QUOTA_USEC_PER_SEC= */
        uint64_t previous_usec_per_sec; /* COALLOC_PREVIOUS_USEC_PER_SEC= */
        int error;                      /* ERRNO=, negative errno */
};

/* Messages above this priority are dropped; LOG_INFO at first. */
void journal_set_max_priority(int priority);

/* Return: fields->error, so that a failure can be logged and passed on in one line. */
int journal_log(int priority, const struct journal_fields *fields, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/* log_unit(LOG_NOTICE, MSG_UNIT_MANAGED, unit, "..."): the usual shapes, short. */
#define log_plain(priority, id, ...)                                                               \
        journal_log(priority, &(struct journal_fields){ .message_id = (id) }, __VA_ARGS__)
#define log_unit(priority, id, unit_name, ...)                                                     \
        journal_log(priority, &(struct journal_fields){ .message_id = (id), .unit = (unit_name) }, \
                    __VA_ARGS__)
#define log_errno(priority, id, e, ...)                                                            \
        journal_log(priority, &(struct journal_fields){ .message_id = (id), .error = (e) },        \
                    __VA_ARGS__)
#define log_unit_errno(priority, id, unit_name, e, ...)                                            \
        journal_log(priority,                                                                      \
                    &(struct journal_fields){                                                      \
                            .message_id = (id), .unit = (unit_name), .error = (e) },               \
                    __VA_ARGS__)
