/* SPDX-License-Identifier: MIT */

#include "client/words.h"

#include <langinfo.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

char *words_cpu(char buf[static FORMAT_MAX], double milli)
{
        double percent = milli / 10;

        if (percent > 0 && percent < 9.95)
                (void)snprintf(buf, FORMAT_MAX, "%.1f%%", percent);
        else
                (void)snprintf(buf, FORMAT_MAX, "%.0f%%", percent);
        return buf;
}

char *words_cpu_change(char buf[static FORMAT_MAX], double milli)
{
        char amount[FORMAT_MAX];

        if (fabs(milli) < 0.5)
                return strcpy(buf, "0%");
        (void)snprintf(buf, FORMAT_MAX, "%s%.60s", milli < 0 ? "-" : "+", words_cpu(amount, fabs(milli)));
        return buf;
}

char *words_share(char buf[static FORMAT_MAX], double share)
{
        return words_cpu(buf, share * 1000);
}

char *words_number(char buf[static FORMAT_MAX], double number)
{
        if (isinf(number))
                (void)snprintf(buf, FORMAT_MAX, "infinite");
        else
                (void)snprintf(buf, FORMAT_MAX, "%.3g", number);
        return buf;
}

char *words_latency(char buf[static FORMAT_MAX], double usec)
{
        /* Each unit takes over where the one below would round to four digits. */
        if (usec < 999.5)
                (void)snprintf(buf, FORMAT_MAX, "%.0fus", usec);
        else if (usec < 9950)
                (void)snprintf(buf, FORMAT_MAX, "%.1fms", usec / 1e3);
        else if (usec < 999.5e3)
                (void)snprintf(buf, FORMAT_MAX, "%.0fms", usec / 1e3);
        else
                (void)snprintf(buf, FORMAT_MAX, usec < 99.5e5 ? "%.1fs" : "%.0fs", usec / 1e6);
        return buf;
}

char *words_credit(char buf[static FORMAT_MAX], double credit)
{
        if (fabs(credit) < 0.005)
                return strcpy(buf, "0");
        (void)snprintf(buf, FORMAT_MAX, "%+.2f", credit);
        return buf;
}

bool words_has_utf8(void)
{
        return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

struct meaning {
        const char *word;
        const char *sentence;
};

static const char *meaning_of(const struct meaning meanings[], size_t n, const char *word)
{
        for (size_t i = 0; i < n; i++)
                if (strcmp(meanings[i].word, word) == 0)
                        return meanings[i].sentence;
        return "";
}

#define MEANING_OF(meanings, word) meaning_of(meanings, sizeof(meanings) / sizeof *(meanings), word)

const char *words_tier(const char *tier)
{
        static const struct meaning meanings[] = {
                { "starved", "Not even the floors fit: every service gets a part of its floor." },
                { "overloaded", "Not all baselines fit: every service keeps its floor, what is left is "
                                "divided by the rule of Overload=." },
                { "congested", "Every baseline is kept, but not every need fits: the CPU above the "
                               "baselines is bargained over." },
                { "uncongested", "Every need is met, and what is left is handed out too (Spare=)." },
        };

        return MEANING_OF(meanings, tier);
}

const char *words_verdict(const char *verdict)
{
        static const struct meaning meanings[] = {
                { "apply", "the plan was applied whole" },
                { "reduced", "the plan was applied in part: a smaller step was safe" },
                { "hold", "the plan was vetoed: the allocations before it stay" },
        };

        return MEANING_OF(meanings, verdict);
}

const char *words_hold(const char *hold)
{
        static const struct meaning meanings[] = {
                { "veto", "the plan was vetoed, as V would not have fallen: the allocations before it stay" },
                { "frozen", "frozen by an administrator: the allocations stay until `coallocctl thaw`" },
                { "rolled-back", "rolled back after epochs that made things worse: earlier allocations hold "
                                 "for a few epochs, then it goes on by itself" },
        };

        return MEANING_OF(meanings, hold);
}

const char *words_mode(const char *mode, const char *enforce)
{
        static const struct meaning meanings[] = {
                { "both", "enforcing with quotas and weights" },
                { "quota", "enforcing with quotas" },
                { "weight", "enforcing with weights" },
        };
        const char *sentence;

        if (strcmp(mode, "observe") == 0)
                return "observing only: no unit is changed";
        sentence = MEANING_OF(meanings, enforce);
        return *sentence ? sentence : "enforcing";
}
