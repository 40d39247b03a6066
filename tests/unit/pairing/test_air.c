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
    static const int wanted[] = {-59, -56, -59, -60, -58, -58};
    struct sh_position b = {1.0, 0.0};
    for (unsigned n = 0; n < SH_COUNT(wanted); n++)
        assert_int_equal(sh_air_rssi(&sh_air_default, origin, b, 37 + n % 3, n), wanted[n]);
}

/* Both ends of a link see the same fade. */
static void symmetric(void **state SH_UNUSED)
{
    struct sh_air air = sh_air_default;
    air.shadow_db = air.fade_db = air.sigma_db = 5.0;
    for (unsigned i = 0; i < 2000; i++) {
        struct sh_position a = {i * 0.013 - 9.0, i * -0.021 + 3.0};
        struct sh_position b = {i * -0.007, i * 0.0171 - 11.0};
        assert_int_equal(sh_air_rssi(&air, a, b, i % 40, i), sh_air_rssi(&air, b, a, i % 40, i));
    }
}

/* What a room does alone: no noise, no distance. */
static struct sh_air still_air(void)
{
    struct sh_air air = sh_air_default;
    air.exponent = 0.0;
    air.shadow_db = 0.0;
    air.fade_db = 5.0;
    air.sigma_db = 0.0;
    return air;
}

/* Each of seed, channel, sample and place changes the draw. */
static void depends_on(void **state SH_UNUSED)
{
    struct sh_air air = still_air();
    struct sh_air noisy = air;
    noisy.sigma_db = 5.0;
    struct sh_position b = {2.01, 0};
    unsigned by_seed = 0, by_channel = 0, by_sample = 0, by_place = 0;
    int base = sh_air_rssi(&air, origin, b, 39, 5);
    int noisy_base = sh_air_rssi(&noisy, origin, b, 39, 0);
    for (unsigned i = 1; i <= 39; i++) {
        struct sh_air other = air;
        other.seed = 1 + i;
        by_seed += sh_air_rssi(&other, origin, b, 39, 5) != base;
        by_channel += sh_air_rssi(&air, origin, b, i - 1, 5) != base;
        by_sample += sh_air_rssi(&noisy, origin, b, 39, i) != noisy_base;
        struct sh_position moved = {2.01, 0.06 * i};
        by_place += sh_air_rssi(&air, origin, moved, 39, 5) != base;
        assert_int_equal(sh_air_rssi(&air, origin, b, 39, i), base);
    }
    assert_true(by_seed > 25 && by_channel > 25 && by_sample > 25 && by_place > 25);
}

/* Correlation of the fading, over many rooms, with that after steps of both devices, on another
 * channel. */
static double alike_after(struct sh_position a2, struct sh_position b2, unsigned channel,
                          unsigned channel2)
{
    struct sh_air air = still_air();
    const struct sh_position a = {0.4, 0.2};
    const struct sh_position b = {1.3, 0.5};
    const struct sh_position moved_a = {a.x + a2.x, a.y + a2.y};
    const struct sh_position moved_b = {b.x + b2.x, b.y + b2.y};
    double product = 0.0, squares = 0.0;
    for (air.seed = 0; air.seed < 2000; air.seed++) {
        double before = sh_air_rssi(&air, a, b, channel, 0) - air.tx1m_dbm;
        double after = sh_air_rssi(&air, moved_a, moved_b, channel2, 0) - air.tx1m_dbm;
        product += before * after;
        squares += (before * before + after * after) / 2.0;
    }
    return product / squares;
}

/* A place's fading is its neighbour's, and half a wavelength farther another one, whichever of the
 * two moved. */
static void fades_with_movement(void **state SH_UNUSED)
{
    static const struct sh_position step[] = {{0.005, 0}, {0, 0.005}, {0.01, 0}, {0, 0.01}};
    static const struct sh_position stride[] = {{0.06, 0}, {0, 0.06}, {0.12, 0}, {0, -0.12}};
    for (size_t i = 0; i < SH_COUNT(step); i++) {
        assert_true(alike_after(step[i], origin, 17, 17) > (i < 2 ? 0.8 : 0.6));
        assert_true(alike_after(origin, step[i], 17, 17) > (i < 2 ? 0.8 : 0.6));
    }
    for (size_t i = 0; i < SH_COUNT(stride); i++) {
        assert_true(fabs(alike_after(stride[i], origin, 17, 17)) < 0.3);
        assert_true(fabs(alike_after(origin, stride[i], 17, 17)) < 0.3);
    }
}

/* No cells, no edges: along a way nothing jumps, not even where the two devices pass each other. */
static void continuous(void **state SH_UNUSED)
{
    struct sh_air air = still_air();
    air.shadow_db = 2.5;
    air.fade_db = 2.0; /* of so little no place is a hole */
    for (air.seed = 1; air.seed <= 20; air.seed++) {
        int last = sh_air_rssi(&air, origin, (struct sh_position){-0.5, 0.01}, 38, 0);
        for (unsigned mm = 1; mm <= 1000; mm++) {
            struct sh_position b = {-0.5 + mm * 0.001, 0.01};
            int dbm = sh_air_rssi(&air, origin, b, 38, 0);
            assert_in_range(dbm - last + 3, 0, 6);
            last = dbm;
        }
    }
}

/* Channels beside each other fade together, those at the ends of the band do not. */
static void fades_with_frequency(void **state SH_UNUSED)
{
    assert_true(alike_after(origin, origin, 17, 16) > 0.7);
    assert_true(alike_after(origin, origin, 17, 18) > 0.7);
    assert_true(fabs(alike_after(origin, origin, 17, 37)) < 0.3);
    assert_true(fabs(alike_after(origin, origin, 17, 39)) < 0.3);
    assert_true(fabs(alike_after(origin, origin, 37, 39)) < 0.3);
    /* The numbers of the advertising channels are not their places in the band. */
    assert_true(alike_after(origin, origin, 37, 0) > 0.7);
    assert_true(alike_after(origin, origin, 10, 38) > 0.7);
    assert_true(alike_after(origin, origin, 38, 11) > 0.7);
    assert_true(alike_after(origin, origin, 36, 39) > 0.7);
}

/* `fade` and `shadow` are the sd over places that they are said to be, and tx1m is the mean. */
static void spread_over_places(void **state SH_UNUSED)
{
    static const double wanted[] = {0.5, 1.0, 2.5, 4.0, 5.0, 5.5, 8.0};
    for (size_t i = 0; i < 2 * SH_COUNT(wanted); i++) {
        struct sh_air air = still_air();
        air.fade_db = i % 2 ? 0.0 : wanted[i / 2];
        air.shadow_db = i % 2 ? wanted[i / 2] : 0.0;
        double sum = 0.0, squares = 0.0;
        const unsigned places = 8000;
        for (unsigned n = 0; n < places; n++) {
            air.seed = n / 4;
            struct sh_position a = {n % 7 * 1.7, n % 11 * 0.83};
            struct sh_position b = {a.x + n % 13 * 0.31 - 2.0, a.y + n % 4 * 0.93};
            double x = sh_air_rssi(&air, a, b, n % 40, 0) - air.tx1m_dbm;
            sum += x;
            squares += x * x;
        }
        double mean = sum / places;
        /* Less what rounding to whole dBm adds. */
        double sd = sqrt(fmax(squares / places - mean * mean - 1.0 / 12.0, 0.0));
        assert_true(fabs(mean) < 0.06 * wanted[i / 2] + 0.02);
        assert_true(fabs(sd - wanted[i / 2]) < 0.06 * wanted[i / 2]);
    }
}

/* The mean over the data channels at so many metres, less the level of one. */
static double over_channels(const struct sh_air *air, double metres)
{
    const unsigned channels = 37;
    struct sh_position b = {metres, 0};
    double sum = 0.0;
    for (unsigned channel = 0; channel < channels; channel++)
        sum += sh_air_rssi(air, origin, b, channel, channel);
    return sum / channels - air->tx1m_dbm;
}

static void gentle_by_default(void **state SH_UNUSED)
{
    struct sh_air air = sh_air_default;
    air.sigma_db = 0.0;
    for (air.seed = 0; air.seed < 4000; air.seed++) {
        assert_true(over_channels(&air, 0.25) > 3.5);
        assert_true(over_channels(&air, 0.5) > 3.5);
        assert_true(over_channels(&air, 3.0) < -4.0);
    }
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
        cmocka_unit_test(reproducible),        cmocka_unit_test(symmetric),
        cmocka_unit_test(depends_on),          cmocka_unit_test(fades_with_movement),
        cmocka_unit_test(continuous),          cmocka_unit_test(fades_with_frequency),
        cmocka_unit_test(spread_over_places),  cmocka_unit_test(gentle_by_default),
        cmocka_unit_test(falls_with_distance), cmocka_unit_test(spread_and_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
