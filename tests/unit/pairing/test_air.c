/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "pairing/air.h"

static const struct sh_position origin = {0, 0};

static void reproducible(void **state SH_UNUSED)
{
    /* Fixed values: the same on every machine and in every version, or a seed means nothing. */
    static const int wanted[] = {-56, -60, -60, -60, -63, -61};
    struct sh_position b = {1.0, 0.0};
    for (unsigned n = 0; n < SH_COUNT(wanted); n++)
        assert_int_equal(sh_air_rssi(&sh_air_default, origin, b, 37 + n % 3, n), wanted[n]);
}

static void symmetric(void **state SH_UNUSED)
{
    for (unsigned i = 0; i < 2000; i++) {
        struct sh_position a = {i * 0.013 - 9.0, i * -0.021 + 3.0};
        struct sh_position b = {i * -0.007, i * 0.0171 - 11.0};
        assert_int_equal(sh_air_rssi(&sh_air_default, a, b, i % 40, i),
                         sh_air_rssi(&sh_air_default, b, a, i % 40, i));
    }
}

/* Each of seed, channel, sample and place changes the draw; the place only from cell to cell. */
static void depends_on(void **state SH_UNUSED)
{
    struct sh_air air = sh_air_default;
    air.fade_db = 10.0;
    struct sh_position b = {2.01, 0};
    unsigned by_seed = 0, by_channel = 0, by_sample = 0, by_place = 0;
    int base = sh_air_rssi(&air, origin, b, 5, 5);
    for (unsigned i = 1; i <= 40; i++) {
        struct sh_air other = air;
        other.seed = 1 + i;
        by_seed += sh_air_rssi(&other, origin, b, 5, 5) != base;
        by_channel += sh_air_rssi(&air, origin, b, i % 40 + 100, 5) != base;
        by_sample += sh_air_rssi(&air, origin, b, 5, 5 + i) != base;
        struct sh_position moved = {2.01, 0.06 * i};
        by_place += sh_air_rssi(&air, origin, moved, 5, 5) != base;
    }
    assert_true(by_seed > 25 && by_channel > 25 && by_sample > 25 && by_place > 25);
    struct sh_position same_cell = {2.012, 0};
    assert_int_equal(sh_air_rssi(&air, origin, same_cell, 5, 5), base);
}

static double mean_at(double metres)
{
    double sum = 0.0;
    for (uint64_t seed = 0; seed < 500; seed++) {
        struct sh_air air = sh_air_default;
        air.seed = seed;
        struct sh_position b = {metres, 0};
        sum += sh_air_rssi(&air, origin, b, (unsigned)seed % 37, seed);
    }
    return sum / 500.0;
}

static void falls_with_distance(void **state SH_UNUSED)
{
    static const double metres[] = {0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 30};
    double last = 100.0;
    for (size_t i = 0; i < SH_COUNT(metres); i++) {
        double mean = mean_at(metres[i]);
        assert_true(mean < last);
        /* And as much as the law says. */
        assert_true(fabs(mean - (-59.0 - 20.0 * log10(metres[i]))) < 0.6);
        last = mean;
    }
}

static void spread_and_bounds(void **state SH_UNUSED)
{
    struct sh_air air = sh_air_default;
    air.shadow_db = air.fade_db = 0.0;
    air.sigma_db = 4.0;
    struct sh_position b = {1, 0};
    double sum = 0.0, squares = 0.0;
    for (uint64_t n = 0; n < 20000; n++) {
        double x = sh_air_rssi(&air, origin, b, 1, n);
        sum += x;
        squares += x * x;
    }
    double mean = sum / 20000.0;
    assert_true(fabs(sqrt(squares / 20000.0 - mean * mean) - 4.0) < 0.15);
    assert_true(fabs(mean + 59.0) < 0.15);
    air.sigma_db = 0.0;
    /* The same place, and places as far as they go. */
    assert_int_equal(sh_air_rssi(&air, origin, origin, 0, 0), -33);
    struct sh_position far = {1e6, -1e6};
    assert_int_equal(sh_air_rssi(&air, origin, far, 0, 0), -110);
    air.tx1m_dbm = 20.0;
    assert_int_equal(sh_air_rssi(&air, origin, origin, 0, 0), 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reproducible),      cmocka_unit_test(symmetric),
        cmocka_unit_test(depends_on),        cmocka_unit_test(falls_with_distance),
        cmocka_unit_test(spread_and_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
