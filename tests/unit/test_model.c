/* SPDX-License-Identifier: MIT */

#include "core/model.h"

#include <errno.h>

#include "lib/testing.h"

START_TEST(names_go_there_and_back)
{
        for (int e = 0; e < _ENFORCE_MAX; e++)
                ck_assert_int_eq(enforce_from_string(enforce_to_string((enum enforce)e)), e);
        for (int r = 0; r < _OVERLOAD_RULE_MAX; r++)
                ck_assert_int_eq(overload_rule_from_string(overload_rule_to_string((enum overload_rule)r)),
                                 r);
        ck_assert_int_eq(enforce_from_string("quota"), ENFORCE_QUOTA);
        ck_assert_int_eq(overload_rule_from_string("weighted"), OVERLOAD_WEIGHTED);
}
END_TEST

START_TEST(words_that_name_nothing_are_refused)
{
        ck_assert_int_eq(enforce_from_string("unknown"), -EINVAL);
        ck_assert_int_eq(enforce_from_string(""), -EINVAL);
        ck_assert_int_eq(enforce_from_string("Both"), -EINVAL);
        ck_assert_int_eq(overload_rule_from_string("weighted "), -EINVAL);
}
END_TEST

START_TEST(published_words_are_what_the_manual_says)
{
        ck_assert_str_eq(tier_to_string(TIER_STARVED), "starved");
        ck_assert_str_eq(tier_to_string(TIER_OVERLOADED), "overloaded");
        ck_assert_str_eq(tier_to_string(TIER_CONGESTED), "congested");
        ck_assert_str_eq(tier_to_string(TIER_UNCONGESTED), "uncongested");
        ck_assert_str_eq(verdict_to_string(VERDICT_APPLY), "apply");
        ck_assert_str_eq(verdict_to_string(VERDICT_REDUCED), "reduced");
        ck_assert_str_eq(verdict_to_string(VERDICT_HOLD), "hold");
        ck_assert_str_eq(tier_to_string(_TIER_MAX), "unknown");
        ck_assert_str_eq(verdict_to_string((enum verdict)99), "unknown");
}
END_TEST

int main(void)
{
        Suite *s = suite_create("model");
        TCase *t = tcase_create("model");

        tcase_add_test(t, names_go_there_and_back);
        tcase_add_test(t, words_that_name_nothing_are_refused);
        tcase_add_test(t, published_words_are_what_the_manual_says);
        suite_add_tcase(s, t);
        return testing_run(s);
}
