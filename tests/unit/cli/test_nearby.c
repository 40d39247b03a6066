/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whom the secondary picks among those that it hears. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/nearby.h"

#define EVERY_MS 100
#define NEAR_DBM (-47)
#define FAR_DBM  (-75)

struct seen {
    unsigned picks, phases, hints;
    enum sh_phase phase;
    char address[SH_BLE_ADDRESS];
    struct sh_nearby_pick pick;
    double level_dbm, metres; /* as last told */
    enum sh_cause cause;
};

static void on_phase(enum sh_phase phase, void *user)
{
    struct seen *seen = user;
    seen->phase = phase;
    seen->phases++;
}

static void on_proximity(const struct sh_proximity_estimate *estimate, void *user)
{
    struct seen *seen = user;
    seen->level_dbm = estimate->level_dbm;
    seen->metres = estimate->metres;
}

static void on_hint(const char *text, void *user)
{
    assert_non_null(text);
    ((struct seen *)user)->hints++;
}

static void on_pick(const struct sh_nearby_pick *pick, void *user)
{
    struct seen *seen = user;
    seen->picks++;
    seen->pick = *pick;
    assert_true(sh_strcopy(seen->address, sizeof(seen->address), pick->address));
}

static void on_failed(enum sh_cause cause, void *user)
{
    ((struct seen *)user)->cause = cause;
}

static const struct sh_nearby_ops ops = {.phase = on_phase,
                                         .proximity = on_proximity,
                                         .hint = on_hint,
                                         .pick = on_pick,
                                         .failed = on_failed};

/* An advertisement that states this level at one metre and step, with an identifier of these octets. */
static void hear_step(struct sh_nearby *nearby, const char *address, int ref1m_dbm, int power_db,
                      uint8_t id, int dbm, sh_ms now)
{
    struct sh_advert advert = {
        .version = SH_ADVERT_VERSION, .psm = 0x80, .ref1m_dbm = (int8_t)ref1m_dbm};
    memset(advert.id, id, sizeof(advert.id));
    sh_advert_step(&advert, power_db);
    uint8_t payload[SH_ADVERT_MAX];
    struct sh_ble_heard heard = {.rssi_dbm = dbm};
    heard.payload = SH_BYTES(payload, sh_advert_encode(&advert, payload));
    assert_true(sh_strcopy(heard.address, sizeof(heard.address), address));
    sh_nearby_heard(nearby, &heard, now);
}

static void hear(struct sh_nearby *nearby, const char *address, int dbm, sh_ms now)
{
    hear_step(nearby, address, SH_ADVERT_UNKNOWN_POWER, 0, 0, dbm, now);
}

/* The anchor each 100 ms, or each `every` of that, and between them so many strangers of whom none is heard twice. */
static void pass(struct sh_nearby *nearby, int dbm, unsigned every, unsigned strangers, sh_ms from,
                 sh_ms until)
{
    char address[SH_BLE_ADDRESS];
    unsigned n = 0, round = 0;
    for (sh_ms now = from; now < until; now += EVERY_MS, round++) {
        if (round % every == 0)
            hear(nearby, "anchor", dbm, now);
        for (unsigned i = 0; i < strangers; i++) {
            snprintf(address, sizeof(address), "stranger-%u-%u", (unsigned)from, n++);
            hear(nearby, address, -30, now + 1);
        }
        sh_nearby_tick(nearby, now + 2);
    }
}

static void the_one_that_is_there_is_picked_among_loud_strangers(void **state)
{
    (void)state;
    static const unsigned strangers[] = {0, 1, 10, 20};
    for (size_t i = 0; i < SH_COUNT(strangers); i++) {
        struct seen seen = {0};
        struct sh_nearby *nearby = NULL;
        assert_int_equal(sh_nearby_new(NULL, 0, NULL, &ops, &seen, 1000, &nearby), SH_OK);
        pass(nearby, NEAR_DBM, 1, strangers[i], 1000, 3000);
        assert_int_equal(seen.picks, 1);
        assert_string_equal(seen.address, "anchor");
        sh_nearby_free(nearby);
    }
}

/* As Linux advertises by itself; it has been heard twice before the strangers come. */
static void one_that_is_heard_seldom_is_not_pushed_out(void **state)
{
    (void)state;
    struct seen seen = {0};
    struct sh_nearby *nearby = NULL;
    assert_int_equal(sh_nearby_new(NULL, 0, NULL, &ops, &seen, 1000, &nearby), SH_OK);
    pass(nearby, NEAR_DBM, 13, 0, 1000, 3600);
    pass(nearby, NEAR_DBM, 13, 20, 3600, 8000);
    assert_int_equal(seen.picks, 1);
    assert_string_equal(seen.address, "anchor");
    sh_nearby_free(nearby);
}

/* They move neither the meter nor the deadline of who stands too far away. */
static void strangers_do_not_put_off_too_far(void **state)
{
    (void)state;
    struct seen seen = {0};
    struct sh_nearby *nearby = NULL;
    assert_int_equal(sh_nearby_new(NULL, 0, NULL, &ops, &seen, 1000, &nearby), SH_OK);
    sh_ms end = 1000 + SH_NEARBY_APPROACH_MS + 2000;
    for (sh_ms now = 1000; now < end; now += 8000) {
        pass(nearby, FAR_DBM, 1, 0, now, now + 8000 - EVERY_MS);
        pass(nearby, FAR_DBM, 1, 1, now + 8000 - EVERY_MS, now + 8000);
    }
    assert_int_equal(seen.picks, 0);
    assert_int_equal(seen.cause, SH_NEAR_TOO_FAR);
    sh_nearby_free(nearby);
}

static void of_two_that_are_near_the_stronger_one(void **state)
{
    (void)state;
    struct seen seen = {0};
    struct sh_nearby *nearby = NULL;
    assert_int_equal(sh_nearby_new(NULL, 0, NULL, &ops, &seen, 1000, &nearby), SH_OK);
    for (sh_ms now = 1000; now < 2000; now += EVERY_MS) {
        hear(nearby, "weaker", NEAR_DBM - 6, now);
        hear(nearby, "stronger", NEAR_DBM, now + 1);
        sh_nearby_tick(nearby, now + 2);
    }
    assert_int_equal(seen.picks, 1);
    assert_string_equal(seen.address, "stronger");
    sh_nearby_free(nearby);
}

/* When the weaker one is near enough, the stronger one has been heard once, twice or thrice: it gets a moment. */
static void who_is_heard_late_but_stronger_is_picked(void **state)
{
    (void)state;
    for (sh_ms late = 100; late <= 300; late += EVERY_MS) {
        struct seen seen = {0};
        struct sh_nearby *nearby = NULL;
        assert_int_equal(sh_nearby_new(NULL, 0, NULL, &ops, &seen, 1000, &nearby), SH_OK);
        for (sh_ms now = 1000; now < 2000; now += EVERY_MS) {
            hear(nearby, "weaker", NEAR_DBM - 6, now);
            if (now >= 1000 + late)
                hear(nearby, "stronger", NEAR_DBM, now + 1);
            sh_nearby_tick(nearby, now + 2);
        }
        assert_int_equal(seen.picks, 1);
        assert_string_equal(seen.address, "stronger");
        sh_nearby_free(nearby);
    }
}

/* Nobody waits for one who is weaker, and for a stronger one who is not heard again only once, for so long. */
static void nobody_is_waited_for_long(void **state)
{
    (void)state;
    static const int others[] = {NEAR_DBM - 6, NEAR_DBM + 6};
    for (size_t i = 0; i < SH_COUNT(others); i++) {
        struct seen seen = {0};
        struct sh_nearby *nearby = NULL;
        sh_ms now = 1000;
        assert_int_equal(sh_nearby_new(NULL, 0, NULL, &ops, &seen, 1000, &nearby), SH_OK);
        for (; seen.picks == 0 && now < 5000; now += EVERY_MS) {
            hear(nearby, "anchor", NEAR_DBM, now);
            if (now == 1100)
                hear(nearby, "other", others[i], now + 1);
            sh_nearby_tick(nearby, now + 2);
        }
        assert_int_equal(seen.picks, 1);
        assert_string_equal(seen.address, "anchor");
        sh_ms first = 1000 + 4 * EVERY_MS; /* after four advertisements */
        assert_int_equal(now, others[i] > NEAR_DBM ? first + SH_NEARBY_WAIT_MS : first);
        sh_nearby_free(nearby);
    }
}

/* Who agreed to go without nearness takes who is heard, but the nearer of two. */
static void who_is_far_is_taken_if_that_is_agreed(void **state)
{
    (void)state;
    struct seen seen = {0};
    struct sh_nearby *nearby = NULL;
    assert_int_equal(sh_nearby_new(NULL, 0, NULL, &ops, &seen, 1000, &nearby), SH_OK);
    sh_nearby_take_far(nearby);
    for (sh_ms now = 1000; now < 2000; now += EVERY_MS) {
        hear(nearby, "farther", FAR_DBM - 6, now);
        hear(nearby, "far", FAR_DBM, now + 1);
        sh_nearby_tick(nearby, now + 2);
    }
    assert_int_equal(seen.picks, 1);
    assert_string_equal(seen.address, "far");
    sh_nearby_free(nearby);
}

static double quiet_level(const struct sh_device *linked, void *user)
{
    (void)user;
    assert_string_equal(linked->name, "anchor");
    return FAR_DBM - 2;
}

/* One whose level at one metre is known to be low is near where another one would be far; and it is recognised. */
static void a_calibrated_level_counts(void **state)
{
    (void)state;
    for (int linked = 0; linked < 2; linked++) {
        struct sh_nearby_ops with_level = ops;
        struct sh_device device = {.name = "anchor"};
        struct seen seen = {0};
        struct sh_nearby *nearby = NULL;
        struct sh_advert advert = {
            .version = SH_ADVERT_VERSION, .psm = 0x80, .ref1m_dbm = SH_ADVERT_UNKNOWN_POWER};
        uint8_t payload[SH_ADVERT_MAX];
        with_level.level = quiet_level;
        memset(device.resolving_key, linked ? 7 : 8, sizeof(device.resolving_key));
        uint8_t key[SH_RESOLVING_KEY_SIZE];
        memset(key, 7, sizeof(key));
        assert_int_equal(sh_rotating_id_new(key, advert.id), SH_OK);
        struct sh_ble_heard heard = {.address = "anchor", .rssi_dbm = FAR_DBM};
        heard.payload = SH_BYTES(payload, sh_advert_encode(&advert, payload));
        assert_int_equal(sh_nearby_new(&device, 1, NULL, &with_level, &seen, 1000, &nearby), SH_OK);
        for (sh_ms now = 1000; now < 2000; now += EVERY_MS) {
            sh_nearby_heard(nearby, &heard, now);
            sh_nearby_tick(nearby, now + 2);
        }
        assert_int_equal(seen.picks, linked);
        sh_nearby_free(nearby);
    }
}

struct watched {
    struct seen seen; /* first: the other callbacks count there */
    unsigned near, far, nobody;
};

static void on_watched(const struct sh_device *linked, const struct sh_proximity_estimate *estimate,
                       void *user)
{
    struct watched *watched = user;
    assert_null(linked);
    if (!estimate)
        watched->nobody++;
    else if (estimate->verdict == SH_PROXIMITY_ACCEPT)
        watched->near++;
    else if (estimate->verdict == SH_PROXIMITY_REJECT)
        watched->far++;
}

/* A meter goes on whoever is near, far or nobody, for longer than any deadline. */
static void who_watches_picks_nobody(void **state)
{
    (void)state;
    struct sh_nearby_ops watching = ops;
    struct watched watched = {0};
    struct sh_nearby *nearby = NULL;
    watching.watched = on_watched;
    assert_int_equal(sh_nearby_new(NULL, 0, NULL, &watching, &watched, 1000, &nearby), SH_OK);
    pass(nearby, NEAR_DBM, 1, 0, 1000, 11000);
    pass(nearby, FAR_DBM, 1, 0, 11000, 61000);
    for (sh_ms now = 61000; now < 81000; now += EVERY_MS)
        sh_nearby_tick(nearby, now);
    assert_int_equal(watched.seen.picks, 0);
    assert_int_equal(watched.seen.cause, SH_OK);
    assert_in_range(watched.near, 45, 60);
    assert_in_range(watched.far, 240, 260);
    assert_in_range(watched.nobody, 70, 81);
    sh_nearby_free(nearby);
}

/* Two at the same distance, the right one heard from then on, until the person moves this one towards it (0: never). */
static sh_ms picked_between(sh_ms right_from, sh_ms nearer_from, struct seen *seen)
{
    struct sh_nearby *nearby = NULL;
    sh_ms now = 1000;
    assert_int_equal(sh_nearby_new(NULL, 0, NULL, &ops, seen, 1000, &nearby), SH_OK);
    for (; seen->picks == 0 && now < 20000; now += EVERY_MS) {
        hear(nearby, "left", NEAR_DBM, now);
        if (now >= right_from)
            hear(nearby, "right", NEAR_DBM - 1 + (nearer_from && now >= nearer_from ? 12 : 0),
                 now + 1);
        sh_nearby_tick(nearby, now + 2);
    }
    sh_nearby_free(nearby);
    return now;
}

/* It is said once that it is not known which is meant; who shows it is understood, else the nearer one is taken. */
static void between_two_the_person_is_asked(void **state)
{
    (void)state;
    struct seen seen = {0};
    assert_in_range(picked_between(0, 0, &seen), 6000, 7000);
    assert_string_equal(seen.address, "left");
    assert_int_equal(seen.hints, 1);
    seen = (struct seen){0};
    assert_in_range(picked_between(0, 3000, &seen), 3100, 4700);
    assert_string_equal(seen.address, "right");
    assert_int_equal(seen.hints, 1);
    /* Also where the weaker one is heard a little later than the other. */
    seen = (struct seen){0};
    assert_in_range(picked_between(1100, 3000, &seen), 3100, 4700);
    assert_string_equal(seen.address, "right");
    assert_int_equal(seen.hints, 1);
}

/* The weakest level of one alone that is near. */
static int least_near_dbm(void)
{
    for (int dbm = FAR_DBM; dbm < NEAR_DBM; dbm++) {
        struct seen seen = {0};
        struct sh_nearby *nearby = NULL;
        assert_int_equal(sh_nearby_new(NULL, 0, NULL, &ops, &seen, 1000, &nearby), SH_OK);
        pass(nearby, dbm, 1, 0, 1000, 6000);
        sh_nearby_free(nearby);
        if (seen.picks > 0)
            return dbm;
    }
    fail();
    return 0;
}

/* Midway between two, only one of them is over the limit; neither is meant more than the other. */
static void one_just_too_far_is_asked_about(void **state)
{
    (void)state;
    static const struct {
        int weaker_db;
        unsigned hints;
    } table[] = {{1, 1}, {8, 0}};
    int limit = least_near_dbm();
    for (size_t i = 0; i < SH_COUNT(table); i++) {
        struct seen seen = {0};
        struct sh_nearby *nearby = NULL;
        assert_int_equal(sh_nearby_new(NULL, 0, NULL, &ops, &seen, 1000, &nearby), SH_OK);
        for (sh_ms now = 1000; seen.picks == 0 && now < 20000; now += EVERY_MS) {
            hear(nearby, "left", limit, now);
            hear(nearby, "right", limit - table[i].weaker_db, now + 1);
            sh_nearby_tick(nearby, now + 2);
        }
        sh_nearby_free(nearby);
        assert_string_equal(seen.address, "left");
        assert_int_equal(seen.hints, table[i].hints);
    }
}

static const int steps[] = {-16, 0, -8};

/* Four advertisements of each step, at so many dB above the level that it states; the identifier is the number of the step. */
static void step_through(struct sh_nearby *nearby, int ref1m_dbm, int nominal_dbm, int above_db,
                         unsigned count)
{
    for (unsigned n = 0; n < 4 * count; n++) {
        sh_ms now = 1000 + n * EVERY_MS;
        int step = steps[n / 4 % SH_COUNT(steps)];
        hear_step(nearby, "anchor", ref1m_dbm, step, (uint8_t)(1 + n / 4),
                  nominal_dbm + step + above_db, now);
        sh_nearby_tick(nearby, now + 2);
    }
}

/* Whether its level is stated or not: the meter does not show the steps, and far stays far. */
static void a_lowered_power_counts_by_what_it_says(void **state)
{
    (void)state;
    static const int stated[] = {-55, SH_ADVERT_UNKNOWN_POWER};
    static const int nominal[] = {-55, -62};
    for (size_t i = 0; i < SH_COUNT(stated); i++) {
        struct seen seen = {0};
        struct sh_nearby *nearby = NULL;
        assert_int_equal(sh_nearby_new(NULL, 0, NULL, &ops, &seen, 1000, &nearby), SH_OK);
        step_through(nearby, stated[i], nominal[i], -6, 24);
        assert_int_equal(seen.picks, 0);
        assert_true(seen.level_dbm > nominal[i] - 6.5 && seen.level_dbm < nominal[i] - 5.5);
        assert_true(seen.metres > 2.4 && seen.metres < 3.0);
        sh_nearby_free(nearby);
        /* And near is near, though all that is heard is sent with the least power. */
        seen = (struct seen){0};
        assert_int_equal(sh_nearby_new(NULL, 0, NULL, &ops, &seen, 1000, &nearby), SH_OK);
        step_through(nearby, stated[i], nominal[i], 3, 1);
        assert_int_equal(seen.picks, 1);
        sh_nearby_free(nearby);
    }
}

/* What is picked: the usual level, for the connection, and what proves that it was heard. */
static void what_was_heard_goes_with_the_pick(void **state)
{
    (void)state;
    struct seen seen = {0};
    struct sh_nearby *nearby = NULL;
    assert_int_equal(sh_nearby_new(NULL, 0, NULL, &ops, &seen, 1000, &nearby), SH_OK);
    step_through(nearby, -55, -55, -6, 40); /* too far away */
    hear_step(nearby, "another", -55, 0, 0xee, -90, 17000);
    for (sh_ms now = 17000; seen.picks == 0 && now < 20000; now += EVERY_MS) {
        hear_step(nearby, "anchor", -55, -8, 0x77, now < 17200 ? -52 : -53, now);
        sh_nearby_tick(nearby, now + 2);
    }
    assert_int_equal(seen.picks, 1);
    const struct sh_nearby_pick *pick = &seen.pick;
    assert_int_equal(pick->advert.ref1m_dbm, -55);
    assert_int_equal(pick->advert.id[0], 0x77);
    assert_int_equal(pick->heard.count, SH_HEARD_MAX);
    assert_int_equal(pick->heard.ids[SH_HEARD_MAX - 1].id[6], 0x77);
    assert_int_equal(pick->heard.ids[SH_HEARD_MAX - 1].dbm, -52);
    for (size_t i = 0; i + 1 < SH_HEARD_MAX; i++) {
        unsigned step = 40 - (SH_HEARD_MAX - 2) + (unsigned)i;
        assert_int_equal(pick->heard.ids[i].id[0], step);
        assert_int_equal(pick->heard.ids[i].dbm, -61 + steps[(step - 1) % SH_COUNT(steps)]);
    }
    sh_nearby_free(nearby);
}

/* A step that no radio of ours makes would bring anybody near. */
static void a_step_too_low_is_not_believed(void **state)
{
    (void)state;
    struct seen seen = {0};
    struct sh_nearby *nearby = NULL;
    assert_int_equal(sh_nearby_new(NULL, 0, NULL, &ops, &seen, 1000, &nearby), SH_OK);
    for (sh_ms now = 1000; now < 6000; now += EVERY_MS) {
        bool lowered = now > 1200;
        hear_step(nearby, "anchor", lowered ? -100 : -55, 0, 1, -75, now);
        sh_nearby_tick(nearby, now + 2);
    }
    assert_int_equal(seen.picks, 0);
    sh_nearby_free(nearby);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(between_two_the_person_is_asked),
        cmocka_unit_test(one_just_too_far_is_asked_about),
        cmocka_unit_test(the_one_that_is_there_is_picked_among_loud_strangers),
        cmocka_unit_test(one_that_is_heard_seldom_is_not_pushed_out),
        cmocka_unit_test(who_is_far_is_taken_if_that_is_agreed),
        cmocka_unit_test(a_calibrated_level_counts),
        cmocka_unit_test(who_watches_picks_nobody),
        cmocka_unit_test(strangers_do_not_put_off_too_far),
        cmocka_unit_test(of_two_that_are_near_the_stronger_one),
        cmocka_unit_test(who_is_heard_late_but_stronger_is_picked),
        cmocka_unit_test(nobody_is_waited_for_long),
        cmocka_unit_test(a_lowered_power_counts_by_what_it_says),
        cmocka_unit_test(what_was_heard_goes_with_the_pick),
        cmocka_unit_test(a_step_too_low_is_not_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
