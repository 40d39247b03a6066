/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What people do with two devices, in a room that fades as real ones do (pairing/air.h), a few hundred rooms each: the whole
 * way of nearness, from the advertisements that a secondary hears over both measurements to the joint verdict. Each test
 * prints how often the two were linked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "cli/nearby.h"
#include "pairing/air.h"

#define ROOMS       300
#define ADVERT_MS   100
#define SAMPLE_MS   30
#define GIVE_UP_MS  40000
#define SHAKE_M     0.1 /* to and fro, once a second */
#define STEP_M_S    1.0 /* a person walks */
#define ANCHORS_MAX 2

/* Where the secondary is at a time. */
typedef struct sh_position path(sh_ms t, bool moved);

struct scene {
    path *where;
    struct sh_position anchors[ANCHORS_MAX];
    size_t anchor_count;
    bool obeys;   /* moves the device when it is told to */
    unsigned few; /* so many data channels are left by Wi-Fi; 0: all */
};

struct outcome {
    bool linked;
    size_t with; /* the anchor */
    bool asked;  /* it was said that two are about as near */
    sh_ms at;
};

/* ---- Approach ---- */

struct approach {
    bool picked, failed, asked;
    size_t with;
};

static void on_phase(enum sh_phase phase SH_UNUSED, void *user SH_UNUSED) {}
static void on_proximity(const struct sh_proximity_estimate *estimate SH_UNUSED,
                         void *user SH_UNUSED)
{
}
static void on_hint(const char *text, void *user)
{
    struct approach *approach = user;
    approach->asked = approach->asked || strstr(text, "about as near") != NULL;
}
static void on_pick(const struct sh_nearby_pick *pick, void *user)
{
    struct approach *approach = user;
    approach->picked = true;
    approach->with = (size_t)(pick->address[0] - 'a');
}
static void on_failed(enum sh_cause cause SH_UNUSED, void *user)
{
    ((struct approach *)user)->failed = true;
}
static const struct sh_nearby_ops ops = {.phase = on_phase,
                                         .proximity = on_proximity,
                                         .hint = on_hint,
                                         .pick = on_pick,
                                         .failed = on_failed};

static void advertise(struct sh_nearby *nearby, const struct sh_air *air, const struct scene *scene,
                      size_t anchor, unsigned n, sh_ms now)
{
    struct sh_advert advert = {.version = SH_ADVERT_VERSION,
                               .psm = 0x80,
                               .ref1m_dbm = (int8_t)air->tx1m_dbm,
                               .id = {(uint8_t)anchor}};
    uint8_t payload[SH_ADVERT_MAX];
    struct sh_ble_heard heard = {.address = {(char)('a' + (int)anchor)},
                                 .rssi_dbm = sh_air_rssi(air, scene->anchors[anchor],
                                                         scene->where(now, false), 37 + n % 3,
                                                         n * ANCHORS_MAX + anchor)};
    heard.payload = SH_BYTES(payload, sh_advert_encode(&advert, payload));
    sh_nearby_heard(nearby, &heard, now);
}

/* Returns the time at which somebody was picked, or it was given up. */
static sh_ms go_near(const struct sh_air *air, const struct scene *scene, struct approach *approach)
{
    struct sh_nearby *nearby = NULL;
    sh_ms now = 0;
    assert_int_equal(sh_nearby_new(NULL, 0, NULL, &ops, approach, 0, &nearby), SH_OK);
    for (unsigned n = 0; !approach->picked && !approach->failed && now < GIVE_UP_MS; n++) {
        now = n * ADVERT_MS;
        for (size_t i = 0; i < scene->anchor_count; i++)
            advertise(nearby, air, scene, i, n, now);
        (void)sh_nearby_tick(nearby, now);
    }
    sh_nearby_free(nearby);
    return now;
}

/* ---- Both measure ---- */

static struct sh_proximity *measurement(const struct sh_air *air)
{
    struct sh_level level = {air->tx1m_dbm, SH_LEVEL_CALIBRATED};
    struct sh_proximity_config config = {.use = SH_PROXIMITY_MEASURE, .level = {level, level}};
    struct sh_proximity *proximity = sh_proximity_new(&config);
    assert_non_null(proximity);
    return proximity;
}

static void give(struct sh_proximity *proximity, enum sh_proximity_side side, sh_ms at, int dbm)
{
    struct sh_proximity_sample sample = {.at = at,
                                         .dbm = dbm,
                                         .channel = SH_CHANNEL_UNKNOWN,
                                         .source = SH_SOURCE_CONNECTION,
                                         .side = side};
    sh_proximity_add(proximity, &sample);
}

static bool measure(const struct sh_air *air, const struct scene *scene, size_t anchor, sh_ms since,
                    sh_ms *ret_end)
{
    struct sh_proximity *alone[2] = {measurement(air), measurement(air)};
    struct sh_proximity *both = measurement(air);
    bool told = false;
    unsigned n = 0, decided = 0, accepted = 0;
    while (decided < 3) {
        sh_ms now = since + n * SAMPLE_MS;
        struct sh_position here = scene->where(now, told);
        decided = accepted = 0;
        for (unsigned side = 0; side < 2; side++) {
            int dbm = sh_air_rssi(air, scene->anchors[anchor], here,
                                  n * 7 % (scene->few ? scene->few : 37), 1000000 + 2 * n + side);
            give(alone[side], SH_SIDE_OURS, now, dbm);
            give(both, (enum sh_proximity_side)side, now, dbm);
            struct sh_proximity_estimate e = sh_proximity_at(alone[side], now);
            told = told || (scene->obeys && e.advice == SH_ADVICE_MOVE);
            decided |= (e.verdict != SH_PROXIMITY_UNDECIDED) << side;
            accepted |= (e.verdict == SH_PROXIMITY_ACCEPT) << side;
        }
        *ret_end = now;
        n++;
    }
    bool near = accepted == 3 && sh_proximity_finish(both).verdict == SH_PROXIMITY_ACCEPT;
    sh_proximity_free(alone[0]);
    sh_proximity_free(alone[1]);
    sh_proximity_free(both);
    return near;
}

static struct outcome play(const struct scene *scene, uint64_t room)
{
    struct sh_air air = sh_air_default;
    air.seed = room;
    air.exponent = 1.4;
    air.shadow_db = 2.5;
    air.fade_db = 5.0;
    struct approach approach = {0};
    struct outcome outcome = {.at = go_near(&air, scene, &approach)};
    outcome.asked = approach.asked;
    outcome.with = approach.with;
    outcome.linked =
        approach.picked && measure(&air, scene, approach.with, outcome.at, &outcome.at);
    return outcome;
}

struct tally {
    unsigned linked, nearest, asked; /* of ROOMS */
    sh_ms latest;
};

static struct tally play_all(const char *name, const struct scene *scene)
{
    struct tally tally = {0};
    for (uint64_t room = 1; room <= ROOMS; room++) {
        struct outcome outcome = play(scene, room);
        tally.linked += outcome.linked;
        tally.nearest += outcome.linked && outcome.with == 0;
        tally.asked += outcome.asked;
        if (outcome.linked)
            tally.latest = SH_MAX(tally.latest, outcome.at);
    }
    printf("%s: linked %.1f %%, with the nearest %.1f %%, asked %.1f %%, at %.1f s at the latest\n",
           name, 100.0 * tally.linked / ROOMS, 100.0 * tally.nearest / ROOMS,
           100.0 * tally.asked / ROOMS, (double)tally.latest / 1000.0);
    return tally;
}

/* ---- What people do ---- */

static struct sh_position shaken(struct sh_position at, sh_ms t, bool moved)
{
    double swing = moved ? SHAKE_M * sin(2.0 * M_PI * (double)t / 1000.0) : 0.0;
    return (struct sh_position){at.x + swing, at.y + swing / 2.0};
}

/* From three metres to a hand's breadth, as fast as one walks, and then held and moved as one holds a device. */
static struct sh_position walks_in(sh_ms t, bool moved SH_UNUSED)
{
    double x = fmax(3.0 - STEP_M_S * (double)t / 1000.0, 0.3);
    return shaken((struct sh_position){x, 0.0}, t, x <= 0.3);
}

static struct sh_position passes_by(sh_ms t, bool moved SH_UNUSED)
{
    return (struct sh_position){-4.0 + STEP_M_S * (double)t / 1000.0, 1.5};
}

static struct sh_position lies_beside(sh_ms t, bool moved)
{
    return shaken((struct sh_position){0.15, 0.0}, t, moved);
}

static struct sh_position three_quarters(sh_ms t, bool moved)
{
    return shaken((struct sh_position){0.75, 0.0}, t, moved);
}

static struct sh_position lies_next_door(sh_ms t SH_UNUSED, bool moved SH_UNUSED)
{
    return (struct sh_position){4.0, 0.0};
}

static struct sh_position held_at(sh_ms t, bool moved SH_UNUSED)
{
    return shaken((struct sh_position){0.0, 0.0}, t, true);
}

static void who_walks_in_is_linked(void **state SH_UNUSED)
{
    struct tally tally =
        play_all("walks in from 3 m", &(struct scene){.where = walks_in, .anchor_count = 1});
    assert_in_range(tally.linked, ROOMS * 95 / 100, ROOMS);
    assert_in_range(tally.latest, 3000, 14000); /* 2.7 s of walking in it */
}

static void who_passes_by_is_not(void **state SH_UNUSED)
{
    struct tally tally =
        play_all("passes by at 1.5 m", &(struct scene){.where = passes_by, .anchor_count = 1});
    /* The shadow of some rooms makes 1.5 m sound like one for all of those three seconds. */
    assert_in_range(tally.linked, 0, ROOMS * 15 / 100);
}

static void what_lies_next_door_is_not(void **state SH_UNUSED)
{
    struct tally tally = play_all("lies in the next room, 4 m",
                                  &(struct scene){.where = lies_next_door, .anchor_count = 1});
    assert_in_range(tally.linked, 0, ROOMS * 5 / 100);
}

static void what_lies_beside_needs_no_gesture(void **state SH_UNUSED)
{
    struct tally tally =
        play_all("lies beside, 0.15 m", &(struct scene){.where = lies_beside, .anchor_count = 1});
    assert_in_range(tally.linked, ROOMS * 85 / 100, ROOMS);
}

/* Over 37 channels the fading is averaged by hopping alone. Where few are left, who lies still is often refused; moved when it is
 * asked for, seldom. */
static void the_gesture_helps(void **state SH_UNUSED)
{
    struct scene scene = {.where = three_quarters, .anchor_count = 1, .few = 2};
    struct tally still = play_all("held still at 0.75 m", &scene);
    scene.obeys = true;
    struct tally moved = play_all("moved when told to, at 0.75 m", &scene);
    assert_in_range(moved.linked, ROOMS * 65 / 100, ROOMS);
    assert_true(moved.linked > still.linked + ROOMS / 4);
}

static void the_nearer_of_two_is_meant(void **state SH_UNUSED)
{
    struct scene scene = {.where = held_at, .anchors = {{0.4, 0}, {-1.2, 0}}, .anchor_count = 2};
    struct tally tally = play_all("anchors at 0.4 and 1.2 m", &scene);
    assert_in_range(tally.nearest, ROOMS * 85 / 100, ROOMS);
    /* 14 dB a decade make 6.7 dB of these distances, which the room's shadows and fading turn round in 5.6 of 100 (over 3,000 rooms). */
    assert_in_range(tally.linked - tally.nearest, 0, ROOMS * 7 / 100);
    /* Where both are as near, it says so. */
    scene.anchors[1] = (struct sh_position){-0.4, 0};
    tally = play_all("anchors at 0.4 and 0.4 m", &scene);
    assert_in_range(tally.asked, ROOMS * 30 / 100, ROOMS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_walks_in_is_linked),
        cmocka_unit_test(who_passes_by_is_not),
        cmocka_unit_test(what_lies_next_door_is_not),
        cmocka_unit_test(what_lies_beside_needs_no_gesture),
        cmocka_unit_test(the_gesture_helps),
        cmocka_unit_test(the_nearer_of_two_is_meant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
