/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Recorded runs come to the same end again, and to another one where what was recorded is another. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/nearby.h"
#include "cli/rerun.h"
#include "cli/tracer.h"
#include "proto/simhop.pb-c.h"
#include "transfer/ladder.h"
#include "transfer/path.h"
#include "transfer/patience.h"

#define LAN       SIMHOP__LINK_KIND__LINK_KIND_LAN
#define BLE       SIMHOP__LINK_KIND__LINK_KIND_BLE
#define NEAR_DBM  (-47)
#define FAR_DBM   (-75)
#define LEVEL     (-5900)
#define PICKED_AT 2000

struct run {
    struct sh_trace_record records[2000];
    size_t count;
    sh_ms at;
};

static void put(struct run *run, unsigned session, enum sh_trace_kind kind, const int64_t *values,
                size_t count)
{
    struct sh_trace_record *record = &run->records[run->count++];
    assert_true(run->count < SH_COUNT(run->records));
    assert_true(count <= SH_TRACE_VALUES);
    *record = (struct sh_trace_record){.kind = kind, .at = run->at, .session = session};
    memcpy(record->v, values, count * sizeof(*values));
}
#define PUT(run, session, kind, ...)                                                               \
    put(run, session, SH_TRACE_##kind, (const int64_t[]){__VA_ARGS__},                             \
        sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

/* The time passes, and the session's engines are asked each second. */
static void wait_for(struct run *run, sh_ms ms)
{
    sh_ms until = run->at + ms;
    while (run->at < until) {
        run->at = SH_MIN(until, run->at + 1000);
        PUT(run, 1, LOOK, 0);
    }
}

/* The search: somebody is heard each 100 ms and looked at each time, and picked if that is how it went. */
static void search(struct run *run, int dbm, sh_ms until)
{
    *run = (struct run){.count = 0};
    PUT(run, 0, RUN, SH_SECONDARY, 1, 0, 1, 0, 1, 0, 0, 0);
    PUT(run, 0, SEARCH, 0);
    for (run->at = 100; run->at <= until; run->at += 100) {
        PUT(run, 0, HEARD, 1, dbm + (int)(run->at / 100 % 3), 0, LEVEL, SH_TRACE_NONE, 0);
        PUT(run, 0, LOOK, 0);
    }
    run->at = until;
}

/* Each sample differs, as of one that is moved. */
static int moved(sh_ms at, int dbm)
{
    return dbm + (int)(at / 300 % 4) * 3;
}

static void measure(struct run *run, int dbm)
{
    PUT(run, 0, PICK, 1);
    PUT(run, 1, SESSION, 0, 0);
    PUT(run, 1, MEASURE, LEVEL, SH_LEVEL_STATED, SH_PROXIMITY_NORMAL, 0);
    for (sh_ms end = run->at + SH_MEASURE_MS + 100; run->at < end; run->at += 33)
        PUT(run, 1, RSSI, moved(run->at, dbm));
    PUT(run, 1, MEASURED, SH_PROXIMITY_ACCEPT, 50, 80, 90);
}

static void judge(struct run *run, int dbm)
{
    PUT(run, 1, THEIRS, LEVEL, SH_LEVEL_STATED, 30000, 90);
    for (int64_t ms = 0; ms < SH_MEASURE_MS; ms += 33)
        PUT(run, 1, PEER, ms, moved((sh_ms)ms, dbm), 255);
    PUT(run, 1, JUDGED, 1200, 0, 0, 0, 1, SH_OK);
}

static void begin_transfer(struct run *run)
{
    PUT(run, 1, TRANSFER, 77, LAN, BLE, 0);
    PUT(run, 1, EXPECT, 20000);
    PUT(run, 1, CARRIES, 1, BLE, 1, SH_OK);
    PUT(run, 1, OFFER, LAN, 1, 0, 1);
    PUT(run, 1, OFFERS, 0);
    run->at += 10;
    PUT(run, 1, ATTEMPT_UP, 1, LAN);
    PUT(run, 1, CARRIES, 2, LAN, 1, SH_OK);
    PUT(run, 1, ITEMS, 1, 300000, 0);
    PUT(run, 1, MOVED, 65536, 234464, 0);
}

static void end(struct run *run, enum sh_cause cause)
{
    PUT(run, 1, ENDED, (int64_t)cause, SH_BY_HERE);
    PUT(run, 0, END, (int64_t)cause);
}

static struct sh_rerun_result again(struct run *run)
{
    struct sh_rerun_result result;
    assert_int_equal(sh_rerun(run->records, run->count, &result), SH_OK);
    return result;
}

static void same_end(struct run *run, enum sh_cause cause)
{
    struct sh_rerun_result result = again(run);
    assert_string_equal(result.why, "");
    assert_true(result.same && result.complete);
    assert_int_equal(result.recorded, cause);
    assert_int_equal(result.replayed, cause);
}

static void other_end(struct run *run, enum sh_cause recorded, enum sh_cause replayed)
{
    struct sh_rerun_result result = again(run);
    assert_false(result.same);
    assert_int_equal(result.recorded, recorded);
    assert_int_equal(result.replayed, replayed);
    assert_string_not_equal(result.why, "");
}

static struct run run;

static void good(int heard, int ours, int theirs)
{
    search(&run, heard, PICKED_AT);
    measure(&run, ours);
    judge(&run, theirs);
    begin_transfer(&run);
    run.at += 1000;
    PUT(&run, 1, MOVED, 300000, 0, 0);
    PUT(&run, 1, OVER, SH_OK);
    end(&run, SH_OK);
}

static void a_good_run(void **state SH_UNUSED)
{
    good(NEAR_DBM, NEAR_DBM, NEAR_DBM);
    same_end(&run, SH_OK);
}

static void from_farther_it_is_refused(void **state SH_UNUSED)
{
    good(FAR_DBM, NEAR_DBM, NEAR_DBM);
    other_end(&run, SH_OK, SH_NEAR_TOO_FAR);
    good(NEAR_DBM, FAR_DBM, NEAR_DBM);
    other_end(&run, SH_OK, SH_NEAR_TOO_FAR);
    good(NEAR_DBM, NEAR_DBM, FAR_DBM);
    other_end(&run, SH_OK, SH_NEAR_ASYMMETRIC);
}

static void somebody_who_stays_away(void **state SH_UNUSED)
{
    search(&run, FAR_DBM, 31000);
    PUT(&run, 0, SEARCH_OVER, SH_NEAR_TOO_FAR);
    PUT(&run, 0, END, SH_NEAR_TOO_FAR);
    same_end(&run, SH_NEAR_TOO_FAR);
    search(&run, NEAR_DBM, 31000);
    PUT(&run, 0, SEARCH_OVER, SH_NEAR_TOO_FAR);
    PUT(&run, 0, END, SH_NEAR_TOO_FAR);
    other_end(&run, SH_NEAR_TOO_FAR, SH_OK);
}

/* It rests on what was heard before, too. */
static void a_search_without_its_beginning(void **state SH_UNUSED)
{
    for (unsigned passed = 0; passed < 2; passed++) {
        search(&run, FAR_DBM, 20000);
        run.records[2].kind = passed ? SH_TRACE_PASSED : SH_TRACE_LOOK;
        PUT(&run, 0, SEARCH_OVER, SH_NEAR_TOO_FAR);
        PUT(&run, 0, END, SH_NEAR_TOO_FAR);
        if (passed)
            same_end(&run, SH_NEAR_TOO_FAR);
        else
            other_end(&run, SH_NEAR_TOO_FAR, SH_OK);
    }
}

static void carried_away(void **state SH_UNUSED)
{
    search(&run, NEAR_DBM, PICKED_AT);
    measure(&run, NEAR_DBM);
    for (sh_ms until = run.at + 6000; run.at < until; run.at += 33)
        PUT(&run, 1, RSSI, -90);
    end(&run, SH_NEAR_TOO_FAR);
    same_end(&run, SH_NEAR_TOO_FAR);
}

/* Both links are gone at 20 s after the last byte, when none is expected any more; how long until it is over? */
static void no_link(sh_ms wait)
{
    search(&run, NEAR_DBM, PICKED_AT);
    measure(&run, NEAR_DBM);
    judge(&run, NEAR_DBM);
    begin_transfer(&run);
    run.at += 15000;
    PUT(&run, 1, MOVED, 131072, 168928, 0);
    run.at += 5000;
    PUT(&run, 1, CARRIES, 1, BLE, 0, SH_LINK_STALLED);
    PUT(&run, 1, CARRIES, 2, LAN, 0, SH_LINK_STALLED);
    PUT(&run, 1, ATTEMPT_DOWN, 1, SH_LINK_STALLED);
    wait_for(&run, wait);
}

static void all_links_gone(void **state SH_UNUSED)
{
    no_link(SH_NO_LINK_MS);
    end(&run, SH_TRANSFER_STALLED);
    same_end(&run, SH_TRANSFER_STALLED);
    no_link(3000);
    end(&run, SH_TRANSFER_STALLED);
    other_end(&run, SH_TRANSFER_STALLED, SH_OK);
    no_link(SH_NO_LINK_MS + 5000);
    end(&run, SH_OK);
    other_end(&run, SH_OK, SH_TRANSFER_STALLED);
}

/* An absence does not count, so it is over by that much later. */
static void asleep_meanwhile(void **state SH_UNUSED)
{
    no_link(3000);
    run.at += 60000;
    PUT(&run, 0, ABSENT, 60000);
    run.at += SH_NO_LINK_MS - 3000 - SH_ABSENT_MS;
    end(&run, SH_TRANSFER_STALLED);
    same_end(&run, SH_TRANSFER_STALLED);
}

/* The same links, and the facts of a way that prove something: that is the end. */
static void with_a_verdict(int error, enum sh_path_answer answer, enum sh_cause seen,
                           enum sh_cause verdict)
{
    no_link(1000);
    PUT(&run, 1, PATH, LAN, (int64_t)seen, (int64_t)verdict, SH_PATH_CONNECT, error, 1,
        (int64_t)answer, SH_PATH_NEIGHBOUR_UNKNOWN, SH_PATH_ROUTE_OURS, 0, 0, 0, 0, 0, 0, 0);
    PUT(&run, 1, ATTEMPT_DOWN, 2, (int64_t)verdict);
    PUT(&run, 1, CARRIES, 3, LAN, 0, (int64_t)verdict);
    wait_for(&run, SH_NO_LINK_MS - 1000);
}

static void the_facts_of_a_way_decide(void **state SH_UNUSED)
{
    with_a_verdict(ECONNREFUSED, SH_PATH_ICMP, SH_LINK_REFUSED, SH_LINK_FIREWALL_REJECT);
    end(&run, SH_LINK_FIREWALL_REJECT);
    same_end(&run, SH_LINK_FIREWALL_REJECT);
    /* Silence proves nothing, whatever verdict was recorded. */
    with_a_verdict(0, SH_PATH_SILENCE, SH_LINK_TIMEOUT, SH_LINK_FIREWALL_REJECT);
    end(&run, SH_LINK_FIREWALL_REJECT);
    other_end(&run, SH_LINK_FIREWALL_REJECT, SH_TRANSFER_STALLED);
}

static void refused_at_once(unsigned attempt)
{
    PUT(&run, 1, DIAL, attempt, LAN, 0, 0);
    PUT(&run, 1, ATTEMPT_DOWN, attempt, SH_LINK_FIREWALL_REJECT);
}

/* The second address is dialled because the first is refused as it is dialled, in the same tick, and is up before the next one. */
static void a_dial_that_fails_makes_way(void **state SH_UNUSED)
{
    search(&run, NEAR_DBM, PICKED_AT);
    measure(&run, NEAR_DBM);
    judge(&run, NEAR_DBM);
    PUT(&run, 1, TRANSFER, 77, LAN, 0, 0);
    PUT(&run, 1, OFFER, LAN, 1, 0, 2);
    PUT(&run, 1, OFFERS, 0);
    for (unsigned attempt = 1; attempt < 5; attempt += 2) {
        refused_at_once(attempt);
        refused_at_once(attempt + 1);
        run.at += 3 * SH_BACKOFF_MS;
        PUT(&run, 1, LOOK, 0);
    }
    refused_at_once(5);
    PUT(&run, 1, DIAL, 6, LAN, 0, 0);
    run.at += 5;
    PUT(&run, 1, ATTEMPT_UP, 6, LAN);
    PUT(&run, 1, CARRIES, 2, LAN, 1, SH_OK);
    PUT(&run, 1, ITEMS, 1, 300000, 0);
    PUT(&run, 1, MOVED, 65536, 234464, 0);
    wait_for(&run, SH_IDLE_MS);
    end(&run, SH_TRANSFER_STALLED);
    same_end(&run, SH_TRANSFER_STALLED);
}

/* It was given up, the anchor called, and when that link is gone it is given up once more, for what the attempts met. */
static void the_anchor_called(void **state SH_UNUSED)
{
    search(&run, NEAR_DBM, PICKED_AT);
    measure(&run, NEAR_DBM);
    judge(&run, NEAR_DBM);
    PUT(&run, 1, TRANSFER, 77, LAN, BLE, 0);
    PUT(&run, 1, EXPECT, 20000);
    PUT(&run, 1, CARRIES, 1, BLE, 1, SH_OK);
    PUT(&run, 1, OFFER, LAN, 1, 0, 1);
    PUT(&run, 1, OFFERS, 0);
    for (unsigned attempt = 1; attempt <= SH_LADDER_ROUNDS; attempt++) {
        refused_at_once(attempt);
        run.at += 3 * SH_BACKOFF_MS;
        PUT(&run, 1, LOOK, 0);
    }
    run.at += 20000;
    PUT(&run, 1, ATTEMPT_UP, 0, LAN);
    PUT(&run, 1, CARRIES, 2, LAN, 1, SH_OK);
    PUT(&run, 1, ITEMS, 1, 300000, 0);
    PUT(&run, 1, MOVED, 65536, 234464, 0);
    PUT(&run, 1, CARRIES, 1, BLE, 0, SH_CONNECT_LOST);
    run.at += 1000;
    PUT(&run, 1, ATTEMPT_DOWN, 0, SH_LINK_STALLED);
    PUT(&run, 1, CARRIES, 2, LAN, 0, SH_LINK_STALLED);
    wait_for(&run, SH_NO_LINK_MS);
    end(&run, SH_LINK_FIREWALL_REJECT);
    same_end(&run, SH_LINK_FIREWALL_REJECT);
}

/* ---- A live search, recorded ---- */

struct live {
    struct sh_tracer *tracer;
    bool picked;
};

static void on_line(struct sh_bytes line, sh_ms at SH_UNUSED, void *user SH_UNUSED)
{
    const char *why = NULL;
    assert_true(run.count < SH_COUNT(run.records));
    assert_int_equal(sh_trace_decode(SH_BYTES(line.p, line.n - 1), &run.records[run.count++], &why),
                     SH_LINE_RECORD);
}

static void on_phase(enum sh_phase phase SH_UNUSED, void *user SH_UNUSED) {}

static void on_proximity(const struct sh_proximity_estimate *estimate SH_UNUSED,
                         void *user SH_UNUSED)
{
}

static void on_hint(const char *text SH_UNUSED, void *user SH_UNUSED) {}

static void on_pick(const struct sh_nearby_pick *pick, void *user)
{
    struct live *live = user;
    live->picked = true;
    sh_tracer_pick(live->tracer, run.at, pick->address);
}

static void on_failed(enum sh_cause cause, void *user)
{
    struct live *live = user;
    live->picked = true;
    SH_TRACE(live->tracer, run.at, 0, SEARCH_OVER, (int64_t)cause);
}

static void on_counted(const struct sh_ble_heard *heard, const struct sh_advert *advert,
                       double known_dbm, bool linked, sh_ms now, void *user)
{
    const struct sh_traced_advert traced = {.address = heard->address,
                                            .dbm = heard->rssi_dbm,
                                            .power_db = advert->power_db,
                                            .stated_dbm = advert->ref1m_dbm,
                                            .known_dbm = known_dbm,
                                            .linked = linked};
    sh_tracer_heard(((struct live *)user)->tracer, now, &traced);
}

static void on_looks(sh_ms now, void *user)
{
    SH_TRACE(((struct live *)user)->tracer, now, 0, LOOK, 0);
}

static const struct sh_nearby_ops nearby_ops = {.phase = on_phase,
                                                .proximity = on_proximity,
                                                .hint = on_hint,
                                                .pick = on_pick,
                                                .failed = on_failed,
                                                .counted = on_counted,
                                                .looks = on_looks};

static const struct sh_tracer_ops tracer_ops = {.line = on_line};

static unsigned draw(uint32_t *chance, unsigned below)
{
    *chance = *chance * 1664525 + 1013904223;
    return (*chance >> 8) % below;
}

static void hear(struct sh_nearby *nearby, unsigned who, int dbm)
{
    uint8_t payload[SH_ADVERT_MAX];
    struct sh_advert advert = {
        .version = SH_ADVERT_VERSION, .psm = 0x80, .ref1m_dbm = LEVEL / 100, .id = {(uint8_t)who}};
    struct sh_ble_heard heard = {.rssi_dbm = dbm, .address = {(char)('a' + who)}};
    heard.payload = SH_BYTES(payload, sh_advert_encode(&advert, payload));
    sh_nearby_heard(nearby, &heard, run.at);
}

/* Two about as near, at the edge of what counts as near, heard about each 100 ms by a busy machine that looks when it can. */
static void live_search(uint32_t chance)
{
    struct live live = {.picked = false};
    struct sh_nearby *nearby = NULL;
    sh_ms heard[2] = {0, 0}, look = 0, begun = 5000 + draw(&chance, 1000);
    run = (struct run){.at = begun};
    live.tracer = sh_tracer_new(&tracer_ops, NULL, begun);
    assert_non_null(live.tracer);
    SH_TRACE(live.tracer, run.at, 0, RUN, SH_SECONDARY, 1, 0, 1, 0, 1, 0, 0, 0);
    SH_TRACE(live.tracer, run.at, 0, SEARCH, 0);
    assert_int_equal(sh_nearby_new(NULL, 0, NULL, &nearby_ops, &live, run.at, &nearby), SH_OK);
    for (; !live.picked && run.at < begun + 35000; run.at++) {
        for (unsigned who = 0; who < 2 && !live.picked; who++) {
            if (run.at < heard[who])
                continue;
            heard[who] = run.at + 98 + draw(&chance, 5);
            hear(nearby, who, LEVEL / 100 - 4 + (int)draw(&chance, 8));
        }
        if (run.at < look)
            continue;
        look = run.at + 50 + (draw(&chance, 10) == 0 ? draw(&chance, 900) : draw(&chance, 4));
        (void)sh_nearby_tick(nearby, run.at);
    }
    SH_TRACE(live.tracer, run.at, 0, END, SH_SESSION_INTERRUPTED);
    sh_tracer_free(live.tracer);
    sh_nearby_free(nearby);
    assert_true(live.picked);
}

static void what_a_millisecond_decided_it_decides_again(void **state SH_UNUSED)
{
    for (uint32_t chance = 0; chance < 50; chance++) {
        live_search(chance);
        same_end(&run, SH_SESSION_INTERRUPTED);
    }
}

static void who_stops_it_is_no_engine(void **state SH_UNUSED)
{
    search(&run, NEAR_DBM, PICKED_AT);
    measure(&run, NEAR_DBM);
    PUT(&run, 1, ENDED, SH_SESSION_INTERRUPTED, SH_BY_PERSON);
    PUT(&run, 0, END, SH_SESSION_INTERRUPTED);
    same_end(&run, SH_SESSION_INTERRUPTED);
}

static void without_an_end(void **state SH_UNUSED)
{
    search(&run, NEAR_DBM, PICKED_AT);
    struct sh_rerun_result result = again(&run);
    assert_true(result.same);
    assert_false(result.complete);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_run),
        cmocka_unit_test(from_farther_it_is_refused),
        cmocka_unit_test(somebody_who_stays_away),
        cmocka_unit_test(a_search_without_its_beginning),
        cmocka_unit_test(carried_away),
        cmocka_unit_test(all_links_gone),
        cmocka_unit_test(asleep_meanwhile),
        cmocka_unit_test(the_facts_of_a_way_decide),
        cmocka_unit_test(a_dial_that_fails_makes_way),
        cmocka_unit_test(the_anchor_called),
        cmocka_unit_test(what_a_millisecond_decided_it_decides_again),
        cmocka_unit_test(who_stops_it_is_no_engine),
        cmocka_unit_test(without_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
