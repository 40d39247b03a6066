/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The picture of the last minute. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/plot.h"

static char picture[SH_PLOT_SIZE];

static void fill(struct sh_plot *plot, sh_ms from, sh_ms to, double metres)
{
    for (sh_ms at = from; at < to; at += 200)
        sh_plot_add(plot, at, metres);
}

/* Far for the older half of the minute, nobody, then near. */
static void in_ascii(void **state SH_UNUSED)
{
    struct sh_plot plot = {0};
    fill(&plot, 1000, 31000, 4.0);
    fill(&plot, 31000, 41000, (double)NAN);
    fill(&plot, 41000, 61000, 0.5);
    sh_plot_draw(&plot, 32, false, picture);
    assert_string_equal(picture, ".25 m |                         \n"
                                 " .5 m |                         \n"
                                 "  1 m +-----------------########\n"
                                 "  2 m |                 ########\n"
                                 "  4 m |                 ########\n"
                                 "  8 m | ############    ########\n");
}

static void in_blocks(void **state SH_UNUSED)
{
    struct sh_plot plot = {0};
    fill(&plot, 0, 60000, 0.25 * sqrt(2.0));
    sh_plot_draw(&plot, 20, true, picture);
    assert_non_null(strstr(picture, " .5 m | \u2584\u2584\u2584"));
    assert_non_null(strstr(picture, "  8 m | \u2588\u2588\u2588"));
    assert_non_null(strstr(picture, ".25 m |             \n"));
}

/* What is older than a minute is gone, also after a gap in which nothing came. */
static void what_is_over(void **state SH_UNUSED)
{
    struct sh_plot plot = {0};
    fill(&plot, 0, 60000, 0.5);
    sh_plot_add(&plot, 1000000, (double)NAN);
    sh_plot_draw(&plot, 20, false, picture);
    assert_null(strpbrk(picture, "#:"));
}

static void any_width_any_distance(void **state SH_UNUSED)
{
    static const double odd[] = {0.0, 1e-9, 1e9, HUGE_VAL};
    for (size_t i = 0; i < SH_COUNT(odd); i++) {
        struct sh_plot plot = {0};
        fill(&plot, 0, 60000, odd[i]);
        for (unsigned columns = 0; columns < 1000; columns += 37) {
            unsigned lines = 0;
            sh_plot_draw(&plot, columns, true, picture);
            for (const char *p = picture; *p; p++)
                lines += *p == '\n';
            assert_int_equal(lines, SH_PLOT_ROWS);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_ascii),
        cmocka_unit_test(in_blocks),
        cmocka_unit_test(what_is_over),
        cmocka_unit_test(any_width_any_distance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
