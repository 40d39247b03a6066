/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The real radio: advertising with less power, where bluetoothd and the controller can. */
#include "bluez_user.h"

#define LEVEL (-60)
#define FULL  8

static void at_power(uint8_t seed, int power_db)
{
    uint8_t payload[SH_ADVERT_MAX];
    struct sh_advert advert = {.version = 1, .psm = 0x80, .ref1m_dbm = LEVEL};
    memset(advert.id, seed, sizeof(advert.id));
    sh_advert_step(&advert, power_db);
    size_t n = sh_advert_encode(&advert, payload);
    assert_int_equal(ble->driver->advertise(ble, SH_BYTES(payload, n), power_db), SH_OK);
}

static bool can_lower(void)
{
    return ble->driver->can_lower(ble);
}

/* What is on the air: this identifier, level and power. */
static bool on_air(uint8_t seed, int level, int power)
{
    int less = 4 * (fake.data[0] >> 5);
    return fake.up == 1 && fake.data[3] == seed && (int8_t)fake.data[2] == LEVEL &&
           LEVEL - less == level && fake.power == power;
}

/* A radio that advertises with its full power. */
static void powered(enum fake_power way)
{
    fake.can_set_power = true;
    fake.power_max = FULL;
    fake.power_way = way;
    all_up();
    assert_false(can_lower()); /* nothing is known of the adapter yet */
    at_power(1, 0);
    FAKE_UNTIL(fake.up == 1);
}

/* It has given up to ask: what is on the air says what it is, now and later. */
static void as_usual(uint8_t seed)
{
    FAKE_UNTIL(!can_lower() && on_air(seed, LEVEL, SH_BLUEZ_NO_POWER));
    assert_true(fake.discoverable && fake.interval);
    unsigned powers = fake.powers;
    at_power(0x70, -16);
    FAKE_UNTIL(on_air(0x70, LEVEL, SH_BLUEZ_NO_POWER));
    fake_run(20);
    fake_end();
    FAKE_UNTIL(strstr(notes, "The Bluetooth service does not run."));
    fake_start();
    FAKE_UNTIL(on_air(0x70, LEVEL, SH_BLUEZ_NO_POWER));
    assert_int_equal(fake.powers, powers);
    assert_false(can_lower());
    assert_false(fake.louder);
    assert_int_equal(fails, 0);
}

static void no_power_is_asked_for_where_none_can_be_set(void **state SH_UNUSED)
{
    all_up();
    at_power(1, 0);
    FAKE_UNTIL(on_air(1, LEVEL, SH_BLUEZ_NO_POWER));
    assert_false(can_lower());
    at_power(2, -8);
    FAKE_UNTIL(on_air(2, LEVEL, SH_BLUEZ_NO_POWER));
    assert_int_equal(fake.powers, 0);
}

/* Nor where the range is too small. */
static void no_power_is_asked_for_where_there_is_no_room(void **state SH_UNUSED)
{
    static const int most[] = {-112, 21, 127};
    for (size_t i = 0; i < SH_COUNT(most); i++) {
        if (i > 0) {
            tear_down(NULL);
            set_up(NULL);
        }
        fake.can_set_power = true;
        fake.power_max = most[i];
        all_up();
        advertise(1);
        FAKE_UNTIL(fake.up == 1);
        assert_false(can_lower());
        assert_int_equal(fake.powers, 0);
    }
}

/* The object stays, and with it the address; and never is it louder than it says. */
static void each_step_is_a_change_of_what_is_there(void **state SH_UNUSED)
{
    powered(FAKE_TAKES);
    assert_true(can_lower() && on_air(1, LEVEL, FULL));
    static const int steps[] = {-8, -16, 0, -8, -16, 0, -16};
    for (size_t i = 0; i < SH_COUNT(steps); i++) {
        uint8_t seed = (uint8_t)(10 + i);
        at_power(seed, steps[i]);
        FAKE_UNTIL(on_air(seed, LEVEL + steps[i], FULL + steps[i]));
    }
    assert_int_equal(fake.registered, 1);
    assert_false(fake.louder);
    assert_true(can_lower());
    /* Another identifier of the same power. */
    at_power(30, -16);
    FAKE_UNTIL(on_air(30, LEVEL - 16, FULL - 16));
    assert_int_equal(fake.registered, 1);
    ble->driver->advertise_stop(ble);
    FAKE_UNTIL(fake.up == 0);
}

static void a_step_is_kept_when_it_is_told_again(void **state SH_UNUSED)
{
    powered(FAKE_TAKES);
    at_power(2, -16);
    FAKE_UNTIL(on_air(2, LEVEL - 16, FULL - 16));
    fake_device("4A:00:00:00:00:01", sh_advert_uuid_text, -40);
    fake_connected("dev_4A_00_00_00_00_01", true);
    fake_run(50);
    fake_connected("dev_4A_00_00_00_00_01", false);
    FAKE_UNTIL(fake.registered == 2 && on_air(2, LEVEL - 16, FULL - 16));
    assert_true(can_lower());
    assert_false(fake.louder);
}

static void a_power_that_is_refused(void **state SH_UNUSED)
{
    powered(FAKE_REFUSES);
    assert_int_equal(fake.powers, 1);
    as_usual(1);
}

/* Nobody knows what the controller does. */
static void a_power_of_which_nothing_is_said(void **state SH_UNUSED)
{
    powered(FAKE_MUTE);
    as_usual(1);
}

/* Whatever it is sent with, it says that of full power, and the next step is none any more. */
static void a_power_that_is_not_had(void **state SH_UNUSED)
{
    static const enum fake_power ways[] = {FAKE_IGNORES, FAKE_ROUNDS};
    for (size_t i = 0; i < SH_COUNT(ways); i++) {
        if (i > 0) {
            tear_down(NULL);
            set_up(NULL);
        }
        powered(ways[i]);
        FAKE_UNTIL(on_air(1, LEVEL, FULL));
        at_power(2, -8);
        FAKE_UNTIL(on_air(2, LEVEL, FULL - 8));
        fake_run(1200);
        assert_true(on_air(2, LEVEL, FULL - 8));
        at_power(3, -16);
        FAKE_UNTIL(on_air(3, LEVEL, SH_BLUEZ_NO_POWER));
        assert_int_equal(fake.registered, 2);
        as_usual(3);
    }
}

/* Steps that come faster than their answers prove nothing. */
static void many_steps_at_once(void **state SH_UNUSED)
{
    sh_ms slowest = 1000;
    for (unsigned tries = 0; tries < 5 && slowest >= 900;
         tries++) { /* for an answer there is a second */
        if (tries > 0) {
            tear_down(NULL);
            set_up(NULL);
        }
        powered(FAKE_TAKES);
        slowest = 0;
        for (uint8_t i = 0; i < 30; i++) {
            sh_ms from = fake_now();
            at_power(i, -8 * (i % 3));
            fake_turn();
            slowest = SH_MAX(slowest, fake_now() - from);
        }
    }
    FAKE_UNTIL(on_air(29, LEVEL - 16, FULL - 16));
    fake_run(1200);
    at_power(40, 0);
    FAKE_UNTIL(on_air(40, LEVEL, FULL));
    assert_true(can_lower());
    assert_int_equal(fake.registered, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_power_is_asked_for_where_none_can_be_set),
        TEST(no_power_is_asked_for_where_there_is_no_room),
        TEST(each_step_is_a_change_of_what_is_there),
        TEST(a_step_is_kept_when_it_is_told_again),
        TEST(a_power_that_is_refused),
        TEST(a_power_of_which_nothing_is_said),
        TEST(a_power_that_is_not_had),
        TEST(many_steps_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
