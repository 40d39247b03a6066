/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "transfer/ladder.h"

#include "unit/transfer/util.h"

#define BLE         SIMHOP__LINK_KIND__LINK_KIND_BLE
#define LAN         SIMHOP__LINK_KIND__LINK_KIND_LAN
#define WIFI_DIRECT SIMHOP__LINK_KIND__LINK_KIND_WIFI_DIRECT

static struct {
    struct sh_attempt dials[256];
    sh_ms at[256];
    unsigned dial_count, cancels[256], cancel_count;
    int failed_kind;
    enum sh_cause failed_cause;
    unsigned failed_count;
    bool refuse; /* each dial fails at once */
    sh_ms now;
} seen;

static struct sh_ladder *ladder;

/* A back-off with its chance. */
#define SHORTEST(ms) ((ms) - (ms) / 4)
#define LONGEST(ms)  ((ms) + (ms) / 4)

static void on_dial(const struct sh_attempt *attempt, void *user SH_UNUSED)
{
    assert_true(seen.dial_count < SH_COUNT(seen.dials));
    seen.at[seen.dial_count] = seen.now;
    seen.dials[seen.dial_count++] = *attempt;
    if (seen.refuse)
        sh_ladder_down(ladder, attempt->id, SH_LINK_REFUSED, seen.now);
}

static void on_cancel(unsigned attempt, void *user SH_UNUSED)
{
    seen.cancels[seen.cancel_count++] = attempt;
}

static void on_failed(int kind, enum sh_cause cause, void *user SH_UNUSED)
{
    seen.failed_kind = kind;
    seen.failed_cause = cause;
    seen.failed_count++;
}

static const struct sh_ladder_ops ops = {.dial = on_dial, .cancel = on_cancel, .failed = on_failed};

static int set_up(void **state SH_UNUSED)
{
    static const int allowed[] = {LAN, WIFI_DIRECT, BLE};
    memset(&seen, 0, sizeof(seen));
    seen.now = 5000;
    return sh_ladder_new(allowed, SH_COUNT(allowed), 1, &ops, NULL, &ladder) == SH_OK ? 0 : -1;
}

static int tear_down(void **state SH_UNUSED)
{
    sh_ladder_free(ladder);
    return 0;
}

struct offer {
    int kind;
    unsigned ipv4, ipv6; /* addresses; the last octet counts up from 1 */
    uint32_t port;
};

static char passphrase[65] = "abcdefgh";

static enum sh_cause give(const struct offer *offers, size_t count)
{
    static uint8_t addresses[4][40][16];
    static ProtobufCBinaryData data[4][40];
    static uint8_t ssid[] = "DIRECT-ab", bssid[6] = {2, 0, 0, 0, 0, 1};
    Simhop__WifiGroup group = SIMHOP__WIFI_GROUP__INIT;
    Simhop__LinkOffer messages[4], *list[4];
    Simhop__LinkOffers message = SIMHOP__LINK_OFFERS__INIT;
    group.ssid = (ProtobufCBinaryData){.data = ssid, .len = 9};
    group.bssid = (ProtobufCBinaryData){.data = bssid, .len = 6};
    group.passphrase = passphrase;
    group.frequency_mhz = 2412;
    for (size_t i = 0; i < count; i++) {
        simhop__link_offer__init(&messages[i]);
        messages[i].wifi_group = offers[i].kind == WIFI_DIRECT ? &group : NULL;
        messages[i].kind = (Simhop__LinkKind)offers[i].kind;
        messages[i].port = offers[i].port;
        messages[i].addresses = data[i];
        messages[i].n_addresses = offers[i].ipv4 + offers[i].ipv6;
        for (unsigned j = 0; j < messages[i].n_addresses; j++) {
            size_t n = j < offers[i].ipv4 ? 4 : 16;
            addresses[i][j][n - 1] = (uint8_t)(j + 1);
            data[i][j] = (ProtobufCBinaryData){.data = addresses[i][j], .len = n};
        }
        list[i] = &messages[i];
    }
    message.offers = list;
    message.n_offers = count;
    return sh_ladder_offers(ladder, &message, seen.now);
}

/* Ticks whenever it is wanted, up to a time. */
static void run_to(sh_ms end)
{
    for (;;) {
        sh_ms next = sh_ladder_tick(ladder, seen.now);
        assert_true(next > seen.now);
        if (next > end)
            break;
        seen.now = next;
    }
    seen.now = end;
    (void)sh_ladder_tick(ladder, seen.now);
}

static void test_race(void **state SH_UNUSED)
{
    const struct offer offer = {LAN, 3, 2, 4000};
    assert_ok(give(&offer, 1));
    run_to(5000 + 10 * SH_RACE_MS);
    assert_int_equal(seen.dial_count, 5);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(seen.at[i], 5000 + i * SH_RACE_MS);
        assert_int_equal(seen.dials[i].kind, LAN);
        assert_int_equal(seen.dials[i].port, 4000);
        assert_int_equal(seen.dials[i].address_len, i == 0 || i == 2 ? 16 : 4);
    }
    assert_int_equal(seen.dials[0].address[15], 4);
    assert_int_equal(seen.dials[1].address[3], 1);
    assert_int_equal(seen.dials[2].address[15], 5);
    assert_true(sh_ladder_trying(ladder));
}

/* One that fails lets the next one start at once. */
static void test_quick_failure(void **state SH_UNUSED)
{
    const struct offer offer = {LAN, 3, 0, 4000};
    assert_ok(give(&offer, 1));
    seen.now += 10;
    sh_ladder_down(ladder, seen.dials[0].id, SH_LINK_REFUSED, seen.now);
    run_to(seen.now + 1);
    assert_int_equal(seen.dial_count, 2);
    assert_int_equal(seen.at[1], 5010);
}

/* The first that works ends the others of its kind; what costs the radio something is not tried beside a better one. */
static void test_winner(void **state SH_UNUSED)
{
    const struct offer offers[] = {{WIFI_DIRECT, 2, 0, 1}, {LAN, 4, 0, 2}};
    assert_ok(give(offers, 2));
    run_to(5000 + 2 * SH_RACE_MS);
    assert_int_equal(seen.dial_count, 3); /* the better kind first */
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(seen.dials[i].kind, LAN);
    sh_ladder_up(ladder, seen.dials[1].id, seen.now);
    assert_int_equal(seen.cancel_count, 2);
    assert_int_equal(seen.cancels[0] + seen.cancels[1], seen.dials[0].id + seen.dials[2].id);
    run_to(seen.now + 60000);
    assert_int_equal(seen.dial_count, 3);
    sh_ladder_down(ladder, seen.dials[0].id, SH_LINK_REFUSED, seen.now); /* too late */
    assert_int_equal(sh_ladder_tick(ladder, seen.now), SH_NEVER);
    sh_ladder_down(ladder, seen.dials[1].id, SH_CONNECT_LOST, seen.now); /* now it is needed */
    run_to(seen.now + 10);
    assert_int_equal(seen.dial_count, 4);
    assert_int_equal(seen.dials[3].kind, WIFI_DIRECT);
    assert_int_equal(seen.dials[3].group.frequency_mhz, 2412);
    assert_string_equal(seen.dials[3].group.passphrase, passphrase);
    assert_memory_equal(seen.dials[3].group.ssid, "DIRECT-ab", seen.dials[3].group.ssid_len);
    assert_int_equal(seen.dials[3].group.ssid_len, 9);
    sh_ladder_up(ladder, seen.dials[3].id, seen.now);
    sh_ladder_up(ladder, seen.dials[2].id, seen.now); /* too late as well */
    run_to(seen.now + LONGEST(SH_BACKOFF_MS));
    assert_int_equal(seen.dials[seen.dial_count - 1].kind, LAN);
}

/* A better kind that is silent holds Wi-Fi Direct back for a moment only, and the time for joining a group is longer. */
static void test_yield(void **state SH_UNUSED)
{
    const struct offer offers[] = {{LAN, 1, 0, 2}, {WIFI_DIRECT, 1, 0, 1}};
    assert_ok(give(offers, 2));
    run_to(5000 + SH_YIELD_MS - 1);
    assert_int_equal(seen.dial_count, 1);
    assert_true(sh_ladder_trying(ladder));
    run_to(5000 + SH_YIELD_MS);
    assert_int_equal(seen.dial_count, 2);
    assert_int_equal(seen.dials[1].kind, WIFI_DIRECT);
    run_to(5000 + SH_YIELD_MS + SH_JOIN_MS - 1);
    for (unsigned i = 0; i < seen.cancel_count; i++)
        assert_int_not_equal(seen.cancels[i], seen.dials[1].id);
    run_to(5000 + SH_YIELD_MS + SH_JOIN_MS);
    assert_int_equal(seen.cancels[seen.cancel_count - 1], seen.dials[1].id);
}

static void test_bad_groups(void **state SH_UNUSED)
{
    static const char *const bad[] = {
        "",
        "1234567",
        "0123456789012345678901234567890123456789012345678901234567890123",
        "abcdefg\n",
        "abcdefg\x7f",
        "abcdefg\xc3\xa4"};
    const struct offer offer = {WIFI_DIRECT, 1, 0, 1};
    for (size_t i = 0; i < SH_COUNT(bad); i++) {
        strcpy(passphrase, bad[i]);
        assert_cause(give(&offer, 1), SH_PROTO_MALFORMED);
    }
    strcpy(passphrase, "abcdefgh");
    assert_ok(give(&offer, 1));
    assert_int_equal(seen.dial_count, 1);
    strcpy(passphrase, "abcdefgi"); /* another group: joined anew */
    assert_ok(give(&offer, 1));
    strcpy(passphrase, "abcdefgh");
    run_to(seen.now + SH_RACE_MS);
    assert_int_equal(seen.dial_count, 2);
    assert_int_equal(seen.cancel_count, 1);
}

/* Silence: cancelled after the time for a dial, tried again with growing pauses, given up. */
static void test_give_up(void **state SH_UNUSED)
{
    const struct offer offer = {LAN, 1, 0, 4000};
    assert_ok(give(&offer, 1));
    run_to(60000);
    assert_int_equal(seen.dial_count, SH_LADDER_ROUNDS);
    assert_int_equal(seen.cancel_count, SH_LADDER_ROUNDS);
    assert_in_range(seen.at[1] - seen.at[0], SH_DIAL_MS + SHORTEST(SH_BACKOFF_MS),
                    SH_DIAL_MS + LONGEST(SH_BACKOFF_MS));
    assert_in_range(seen.at[2] - seen.at[1], SH_DIAL_MS + SHORTEST(2 * SH_BACKOFF_MS),
                    SH_DIAL_MS + LONGEST(2 * SH_BACKOFF_MS));
    assert_int_equal(seen.failed_count, 1);
    assert_int_equal(seen.failed_kind, LAN);
    assert_cause(seen.failed_cause, SH_LINK_TIMEOUT);
    assert_false(sh_ladder_trying(ladder));
    assert_int_not_equal(seen.dials[0].id, seen.dials[1].id);
    assert_ok(give(&offer, 1)); /* offered anew: tried anew */
    assert_true(sh_ladder_trying(ladder));
}

/* Failing inside the dial itself. */
static void test_refused_at_once(void **state SH_UNUSED)
{
    const struct offer offers[] = {{LAN, 16, 0, 4000}, {WIFI_DIRECT, 1, 0, 1}};
    seen.refuse = true;
    assert_ok(give(offers, 2));
    run_to(30000);
    assert_int_equal(seen.dial_count, 17 * SH_LADDER_ROUNDS);
    assert_int_equal(seen.failed_count, 2);
    assert_cause(seen.failed_cause, SH_LINK_REFUSED);
    assert_int_equal(seen.cancel_count, 0);
}

static void test_telling_cause(void **state SH_UNUSED)
{
    static const enum sh_cause causes[][3] = {
        {SH_LINK_UNREACHABLE, SH_LINK_TIMEOUT, SH_LINK_TIMEOUT},
        {SH_LINK_TIMEOUT, SH_LINK_UNREACHABLE, SH_LINK_TIMEOUT},
        {SH_LINK_REFUSED, SH_LINK_TIMEOUT, SH_LINK_REFUSED},
        {SH_LINK_REFUSED, SH_TLS_KEY_MISMATCH, SH_TLS_KEY_MISMATCH},
        {SH_TLS_KEY_MISMATCH, SH_LINK_REFUSED, SH_TLS_KEY_MISMATCH},
    };
    for (size_t i = 0; i < SH_COUNT(causes); i++) {
        const struct offer offer = {LAN, 2, 0, 4000};
        tear_down(NULL);
        assert_int_equal(set_up(NULL), 0);
        assert_ok(give(&offer, 1));
        for (unsigned round = 0; round < SH_LADDER_ROUNDS; round++) {
            run_to(seen.now + SH_RACE_MS);
            sh_ladder_down(ladder, seen.dials[2 * round].id, causes[i][0], seen.now);
            sh_ladder_down(ladder, seen.dials[2 * round + 1].id, causes[i][1], seen.now);
            run_to(seen.now + 4 * SH_BACKOFF_MS - 1 - SH_RACE_MS);
            if (seen.dial_count < 2 * round + 3)
                run_to(seen.now + SH_RACE_MS);
        }
        assert_int_equal(seen.failed_count, 1);
        assert_cause(seen.failed_cause, causes[i][2]);
    }
}

/* A link that stands for a while and breaks is tried again, always; one that breaks soon only so
 * often. */
static void test_link_down(void **state SH_UNUSED)
{
    const struct offer offer = {LAN, 1, 0, 4000};
    assert_ok(give(&offer, 1));
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(seen.dial_count, i + 1);
        sh_ladder_up(ladder, seen.dials[i].id, seen.now);
        run_to(seen.now + SH_STEADY_MS);
        sh_ladder_down(ladder, seen.dials[i].id, SH_LINK_STALLED, seen.now);
        run_to(seen.now + LONGEST(2 * SH_BACKOFF_MS));
    }
    assert_int_equal(seen.failed_count, 0);
    while (seen.failed_count == 0 && seen.dial_count < 20) {
        sh_ladder_up(ladder, seen.dials[seen.dial_count - 1].id, seen.now);
        run_to(seen.now + 100);
        sh_ladder_down(ladder, seen.dials[seen.dial_count - 1].id, SH_LINK_STALLED, seen.now);
        run_to(seen.now + 5 * SH_BACKOFF_MS);
    }
    assert_in_range(seen.dial_count, 12, 14);
    assert_cause(seen.failed_cause, SH_LINK_STALLED);
}

/* Full segments are lost: smaller ones at once, twice; when these do not help either, rounds as for any failure. */
static void test_black_hole(void **state SH_UNUSED)
{
    static const unsigned segments[] = {0, 1200, 900, 900, 900};
    const struct offer offer = {LAN, 2, 0, 4000};
    assert_ok(give(&offer, 1));
    for (unsigned i = 0; i < SH_COUNT(segments); i++) {
        sh_ms from = seen.now;
        run_to(seen.now + (i < 3 ? SH_RACE_MS : LONGEST(2 * SH_BACKOFF_MS) + SH_RACE_MS));
        assert_int_equal(seen.dial_count, 2 * i + 2);
        for (unsigned j = 2 * i; j < seen.dial_count; j++)
            assert_int_equal(seen.dials[j].segment, segments[i]);
        if (i < 3)
            assert_int_equal(seen.at[2 * i], from);
        sh_ladder_down(ladder, seen.dials[2 * i].id, SH_LINK_MTU, seen.now);
        sh_ladder_down(ladder, seen.dials[2 * i + 1].id, SH_LINK_TIMEOUT, seen.now);
    }
    assert_int_equal(seen.failed_count, 1);
    assert_cause(seen.failed_cause, SH_LINK_MTU);
    const struct offer other = {LAN, 1, 0, 4001}; /* another way: as that says */
    assert_ok(give(&other, 1));
    assert_int_equal(seen.dials[seen.dial_count - 1].segment, 0);
}

/* A link that stalls may have met one in the middle: smaller segments after the back-off, no smaller ones after a mere loss. */
static void test_stall_lowers(void **state SH_UNUSED)
{
    static const enum sh_cause causes[] = {SH_CONNECT_LOST, SH_LINK_STALLED, SH_CONNECT_LOST,
                                           SH_LINK_STALLED, SH_LINK_STALLED, SH_CONNECT_LOST};
    static const unsigned segments[] = {0, 0, 1200, 1200, 900, 900};
    const struct offer offer = {LAN, 1, 0, 4000};
    assert_ok(give(&offer, 1));
    for (unsigned i = 0; i < SH_COUNT(causes); i++) {
        assert_int_equal(seen.dial_count, i + 1);
        assert_int_equal(seen.dials[i].segment, segments[i]);
        sh_ladder_up(ladder, seen.dials[i].id, seen.now);
        run_to(seen.now + SH_STEADY_MS);
        sh_ladder_down(ladder, seen.dials[i].id, causes[i], seen.now);
        assert_int_equal(seen.dial_count, i + 1);
        run_to(seen.now + LONGEST(SH_BACKOFF_MS));
    }
}

/* The chance in a back-off is the seed's: the same each time, and not the same for all. */
static void test_chance(void **state SH_UNUSED)
{
    static const int allowed[] = {LAN};
    const struct offer offer = {LAN, 1, 0, 4000};
    sh_ms second[6] = {0};
    for (uint64_t i = 0; i < SH_COUNT(second); i++) {
        tear_down(NULL);
        memset(&seen, 0, sizeof(seen));
        seen.now = 5000;
        assert_ok(sh_ladder_new(allowed, 1, i / 2, &ops, NULL, &ladder));
        assert_ok(give(&offer, 1));
        run_to(60000);
        second[i] = seen.at[1];
        if (i % 2)
            assert_int_equal(second[i], second[i - 1]);
    }
    assert_int_not_equal(second[0], second[2]);
    assert_int_not_equal(second[2], second[4]);
}

static void test_bad_offers(void **state SH_UNUSED)
{
    static const struct offer bad[] = {{LAN, 1, 0, 0}, {LAN, 1, 0, 65536}, {WIFI_DIRECT, 0, 0, 0}};
    static const struct offer passed_over[] = {{0, 1, 0, 0}, {77, 1, 0, 70000}, {LAN, 0, 0, 5}};
    for (size_t i = 0; i < SH_COUNT(bad); i++) {
        const struct offer offers[] = {{LAN, 2, 0, 5}, bad[i]};
        assert_cause(give(offers, 2), SH_PROTO_MALFORMED);
        assert_false(sh_ladder_trying(ladder)); /* not the good one either */
    }
    for (size_t i = 0; i < SH_COUNT(passed_over); i++)
        assert_ok(give(&passed_over[i], 1));
    assert_false(sh_ladder_trying(ladder));
    uint8_t octets[17] = {1};
    for (size_t n = 0; n <= sizeof(octets); n++) {
        ProtobufCBinaryData address = {.data = octets, .len = n};
        Simhop__LinkOffer offer = SIMHOP__LINK_OFFER__INIT, *list = &offer;
        Simhop__LinkOffers offers = SIMHOP__LINK_OFFERS__INIT;
        offer.kind = LAN;
        offer.port = 1;
        offer.addresses = &address;
        offer.n_addresses = 1;
        offers.offers = &list;
        offers.n_offers = 1;
        assert_cause(sh_ladder_offers(ladder, &offers, seen.now),
                     n == 4 || n == 16 ? SH_OK : SH_PROTO_MALFORMED);
    }
}

/* The same offer again does not disturb; another one takes its place. */
static void test_new_offer(void **state SH_UNUSED)
{
    const struct offer one = {LAN, 2, 0, 4000}, other = {LAN, 2, 0, 4001}, none = {LAN, 0, 0, 1};
    assert_ok(give(&one, 1));
    assert_ok(give(&one, 1));
    assert_int_equal(seen.cancel_count, 0);
    assert_int_equal(seen.dial_count, 1);
    assert_ok(give(&other, 1));
    assert_int_equal(seen.cancel_count, 1);
    run_to(seen.now + SH_RACE_MS);
    assert_int_equal(seen.dials[seen.dial_count - 1].port, 4001);
    unsigned dials = seen.dial_count;
    assert_ok(give(&none, 1)); /* nothing to call any more */
    assert_false(sh_ladder_trying(ladder));
    assert_int_equal(seen.failed_count, 1);
    assert_cause(seen.failed_cause, SH_LINK_NOT_LISTENING);
    assert_int_equal(seen.cancel_count, 1 + dials - 1); /* each that was begun */
    run_to(seen.now + 20000);
    assert_int_equal(seen.dial_count, dials);
}

/* What the anchor offers no more: its attempts end at once, wherever they are, what else it offers is not touched, and it is told once. */
static void test_withdrawn(void **state SH_UNUSED)
{
    const struct offer both[] = {{LAN, 1, 0, 4000}, {WIFI_DIRECT, 1, 0, 1}};
    assert_ok(give(both, 2));
    run_to(5000 + SH_YIELD_MS);
    assert_int_equal(seen.dial_count, 2); /* it searches for the group */
    assert_ok(give(both, 1));
    assert_int_equal(seen.cancel_count, 1);
    assert_int_equal(seen.cancels[0], seen.dials[1].id);
    assert_int_equal(seen.failed_count, 1);
    assert_int_equal(seen.failed_kind, WIFI_DIRECT);
    assert_cause(seen.failed_cause, SH_WIFI_GROUP_LOST);
    assert_true(sh_ladder_dials(ladder, LAN));
    assert_ok(give(both, 1));
    assert_int_equal(seen.failed_count, 1);
    assert_ok(give(both, 2)); /* it is back: so are we */
    run_to(seen.now + SH_YIELD_MS);
    assert_int_equal(seen.dials[seen.dial_count - 1].kind, WIFI_DIRECT);
    sh_ladder_down(ladder, seen.dials[seen.dial_count - 1].id, SH_WIFI_NOT_FOUND, seen.now);
    assert_ok(give(both, 1)); /* in a back-off */
    assert_int_equal(seen.failed_count, 2);
    assert_cause(seen.failed_cause, SH_WIFI_GROUP_LOST);
    run_to(seen.now + SH_DIAL_MS);
    for (unsigned i = 3; i < seen.dial_count; i++)
        assert_int_equal(seen.dials[i].kind, LAN);
}

/* A link that is up is not cut off by it; when it goes down, nobody looks for another. */
static void test_withdrawn_while_up(void **state SH_UNUSED)
{
    const struct offer offer = {WIFI_DIRECT, 1, 0, 1};
    assert_ok(give(&offer, 1));
    sh_ladder_up(ladder, seen.dials[0].id, seen.now);
    assert_ok(give(NULL, 0));
    run_to(seen.now + SH_STEADY_MS);
    assert_int_equal(seen.cancel_count + seen.failed_count, 0);
    sh_ladder_down(ladder, seen.dials[0].id, SH_WIFI_GROUP_LOST, seen.now);
    assert_int_equal(seen.failed_count, 1);
    assert_cause(seen.failed_cause, SH_WIFI_GROUP_LOST);
    run_to(seen.now + SH_JOIN_MS);
    assert_int_equal(seen.dial_count, 1);
}

/* The network changed: what was given up or waits for its time is tried now, what runs is left alone. */
static void test_again(void **state SH_UNUSED)
{
    const struct offer offer = {LAN, 1, 0, 4000};
    sh_ladder_again(ladder, LAN, seen.now); /* nothing was offered */
    assert_int_equal(seen.dial_count, 0);
    assert_ok(give(&offer, 1));
    sh_ladder_again(ladder, LAN, seen.now); /* is being tried */
    assert_int_equal(seen.dial_count, 1);
    assert_int_equal(seen.cancel_count, 0);
    sh_ladder_down(ladder, seen.dials[0].id, SH_LINK_UNREACHABLE, seen.now);
    sh_ladder_again(ladder, LAN, seen.now);
    assert_int_equal(seen.dial_count, 2);
    seen.refuse = true;
    run_to(60000);
    assert_int_equal(seen.failed_count, 1);
    assert_int_equal(seen.dial_count, 2 + SH_LADDER_ROUNDS - 1);
    seen.refuse = false;
    sh_ladder_again(ladder, LAN, seen.now);
    assert_int_equal(seen.dial_count, 2 + SH_LADDER_ROUNDS);
    sh_ladder_up(ladder, seen.dials[seen.dial_count - 1].id, seen.now);
    sh_ladder_again(ladder, LAN, seen.now);
    run_to(seen.now + 10000);
    assert_int_equal(seen.dial_count, 2 + SH_LADDER_ROUNDS);
    sh_ladder_again(ladder, 99, seen.now);
}

/* One that the other side made: what is tried here ends, no attempt is made while it is up, and then they go on. */
static void test_taken(void **state SH_UNUSED)
{
    const struct offer offers[] = {{LAN, 3, 0, 1}, {WIFI_DIRECT, 0, 1, 2}};
    assert_ok(give(offers, 2));
    run_to(5000 + SH_RACE_MS);
    assert_int_equal(seen.dial_count, 2);
    sh_ladder_lost(ladder, LAN, SH_CONNECT_LOST, seen.now); /* it is not up */
    sh_ladder_taken(ladder, LAN, seen.now);
    assert_int_equal(seen.cancel_count, 2);
    assert_false(sh_ladder_dials(ladder, LAN));
    sh_ladder_taken(ladder, LAN, seen.now);
    sh_ladder_taken(ladder, 99, seen.now);
    sh_ladder_down(ladder, seen.dials[0].id, SH_LINK_TIMEOUT, seen.now);
    run_to(5000 + SH_JOIN_MS);
    assert_int_equal(seen.dial_count, 2); /* not for a group either */
    sh_ladder_lost(ladder, LAN, SH_LINK_STALLED, seen.now);
    run_to(seen.now + LONGEST(SH_BACKOFF_MS) + 10);
    assert_int_equal(seen.dials[2].kind, WIFI_DIRECT);
    assert_int_equal(seen.dials[3].kind, LAN);
    sh_ladder_up(ladder, seen.dials[3].id, seen.now);
    sh_ladder_lost(ladder, LAN, SH_LINK_STALLED, seen.now); /* it is the attempt's */
    assert_false(sh_ladder_dials(ladder, LAN));
    run_to(seen.now + LONGEST(SH_BACKOFF_MS * 4) + 10);
    assert_int_equal(seen.failed_count, 0);
}

/* Without an address to try it is given up as soon as it is lost. */
static void test_taken_without_an_offer(void **state SH_UNUSED)
{
    sh_ladder_taken(ladder, LAN, seen.now);
    run_to(6000);
    sh_ladder_lost(ladder, LAN, SH_LINK_STALLED, seen.now);
    assert_int_equal(seen.failed_count, 1);
    assert_cause(seen.failed_cause, SH_LINK_STALLED);
    assert_int_equal(seen.dial_count, 0);
}

static void test_fewer_rounds(void **state SH_UNUSED)
{
    const struct offer offer = {LAN, 1, 0, 1};
    seen.refuse = true;
    sh_ladder_limit(ladder, 2);
    assert_ok(give(&offer, 1));
    run_to(60000);
    assert_int_equal(seen.dial_count, 2);
    assert_int_equal(seen.failed_count, 1);
}

static void test_many_addresses(void **state SH_UNUSED)
{
    const struct offer offers[] = {{LAN, 20, 20, 1}, {WIFI_DIRECT, 20, 20, 2}, {BLE, 20, 20, 3}};
    assert_ok(give(offers, 3));
    run_to(5000 + SH_DIAL_MS - 1);
    assert_int_equal(seen.dial_count, 16);
    run_to(5000 + 48 * SH_RACE_MS + 10);
    assert_in_range(seen.dial_count, 48, 70);
}

static void test_rank(void **state SH_UNUSED)
{
    assert_int_equal(sh_ladder_rank(ladder, LAN), 0);
    assert_int_equal(sh_ladder_rank(ladder, WIFI_DIRECT), 1);
    assert_int_equal(sh_ladder_rank(ladder, BLE), 2);
    assert_int_equal(sh_ladder_rank(ladder, 99), 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_race),
        TEST(test_quick_failure),
        TEST(test_winner),
        TEST(test_yield),
        TEST(test_bad_groups),
        TEST(test_give_up),
        TEST(test_refused_at_once),
        TEST(test_telling_cause),
        TEST(test_link_down),
        TEST(test_black_hole),
        TEST(test_stall_lowers),
        TEST(test_chance),
        TEST(test_bad_offers),
        TEST(test_new_offer),
        TEST(test_withdrawn),
        TEST(test_withdrawn_while_up),
        TEST(test_again),
        TEST(test_taken),
        TEST(test_taken_without_an_offer),
        TEST(test_fewer_rounds),
        TEST(test_many_addresses),
        TEST(test_rank),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
