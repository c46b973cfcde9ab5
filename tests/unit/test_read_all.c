/* SPDX-License-Identifier: MIT */
#include "util/read_all.h"

#include "lib/testing.h"

#include "util/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Around the sizes at which the buffer grows. */
static const size_t sizes[] = { 0, 1, 4095, 4096, 4097, 8192, 8193, 1000000 };

START_TEST(what_is_read_is_what_was_written_up_to_the_size_that_is_wanted)
{
        size_t size = sizes[_i], read_size = 12345;
        _cleanup_close_ int fd = memfd_create("test", MFD_CLOEXEC);
        _cleanup_free_ char *written = malloc(size + 1), *text = NULL;

        for (size_t i = 0; i < size; i++)
                written[i] = (char)(i * 31 >> 3);
        ck_assert_int_eq(write(fd, written, size), (ssize_t)size);

        if (size > 0) {
                ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
                ck_assert_int_eq(read_all(fd, size - 1, &text, &read_size), -EFBIG);
                ck_assert_ptr_null(text);
                ck_assert_uint_eq(read_size, 12345);
        }
        ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
        ck_assert_int_eq(read_all(fd, size, &text, &read_size), 0);
        ck_assert_uint_eq(read_size, size);
        ck_assert_int_eq(memcmp(text, written, size), 0);
        ck_assert_int_eq(text[size], 0);
}
END_TEST

START_TEST(a_pipe_is_read_in_as_many_pieces_as_it_gives)
{
        _cleanup_free_ char *text = NULL;
        size_t size;
        int fds[2];

        ck_assert_int_eq(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
        ck_assert_int_eq(write(fds[1], "one ", 4), 4);
        /* Open and empty: no end yet. */
        ck_assert_int_eq(read_all(fds[0], 100, &text, &size), -EAGAIN);
        ck_assert_ptr_null(text);
        ck_assert_int_eq(write(fds[1], "two", 3), 3);
        ck_assert_int_eq(close(fds[1]), 0);
        ck_assert_int_eq(read_all(fds[0], 100, &text, &size), 0);
        ck_assert_str_eq(text, "two");
        ck_assert_int_eq(close(fds[0]), 0);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("read_all");
        TCase *t = tcase_create("read_all");
        tcase_add_loop_test(t, what_is_read_is_what_was_written_up_to_the_size_that_is_wanted, 0,
                            (int)(sizeof sizes / sizeof sizes[0]));
        tcase_add_test(t, a_pipe_is_read_in_as_many_pieces_as_it_gives);
        suite_add_tcase(suite, t);
        return testing_run(suite);
}
