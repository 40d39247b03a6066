/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "transfer/back.h"

#include "transfer/paths.h"
#include "unit/transfer/util.h"

#define LAN SIMHOP__LINK_KIND__LINK_KIND_LAN

/* ---- The door ---- */

static struct sh_back back;
static sh_ms now;

static int set_up(void **state SH_UNUSED)
{
    back = (struct sh_back){.calls = false};
    now = 5000;
    return 0;
}

/* Ticks each ten milliseconds; the first step that is one, or none until then. */
static enum sh_back_step step_until(sh_ms end)
{
    for (; now < end; now += 10) {
        enum sh_back_step step = sh_back_tick(&back, now);
        if (step != SH_BACK_STAYS)
            return step;
    }
    return SH_BACK_STAYS;
}

static void test_it_opens_when_attempts_hang(void **state SH_UNUSED)
{
    sh_back_offers(&back, true, true);
    assert_false(sh_back_hopes(&back));
    assert_int_equal(step_until(8000), SH_BACK_STAYS);
    sh_back_dials(&back, now);
    sh_back_dials(&back, now + 250);
    assert_int_equal(step_until(8000 + SH_BACK_HUNG_MS), SH_BACK_STAYS);
    assert_int_equal(step_until(20000), SH_BACK_OPENS);
    assert_int_equal(now, 8000 + SH_BACK_HUNG_MS);
    assert_true(sh_back_is_open(&back) && sh_back_hopes(&back));
}

static void test_it_opens_when_they_fail(void **state SH_UNUSED)
{
    sh_back_offers(&back, true, true);
    sh_back_dials(&back, now);
    sh_back_refused(&back);
    assert_true(sh_back_hopes(&back));
    assert_int_equal(sh_back_tick(&back, now), SH_BACK_OPENS);
    assert_int_equal(sh_back_tick(&back, now), SH_BACK_STAYS);
}

static void test_it_opens_without_addresses(void **state SH_UNUSED)
{
    sh_back_offers(&back, true, false);
    assert_int_equal(sh_back_tick(&back, now), SH_BACK_OPENS);
}

static void test_it_stays_closed_without_a_need(void **state SH_UNUSED)
{
    sh_back_offers(&back, true, true);
    sh_back_dials(&back, now);
    sh_back_connected(&back);
    assert_int_equal(step_until(60000), SH_BACK_STAYS);
    sh_back_dials(&back, now);
    sh_back_up(&back);
    assert_int_equal(step_until(120000), SH_BACK_STAYS);
    sh_back_refused(&back); /* too late: it is up */
    assert_int_equal(step_until(130000), SH_BACK_STAYS);
    assert_false(sh_back_hopes(&back));
}

/* An anchor that does not say that it calls would end the session. */
static void test_it_stays_closed_for_one_that_does_not_call(void **state SH_UNUSED)
{
    sh_back_offers(&back, false, false);
    sh_back_refused(&back);
    assert_int_equal(step_until(60000), SH_BACK_STAYS);
    assert_false(sh_back_hopes(&back));
    sh_back_offers(&back, true, true);
    assert_int_equal(sh_back_tick(&back, now), SH_BACK_OPENS);
    sh_back_offers(&back, false, true);
    assert_int_equal(sh_back_tick(&back, now), SH_BACK_CLOSES);
}

static void test_it_closes_in_time(void **state SH_UNUSED)
{
    sh_back_offers(&back, true, false);
    assert_int_equal(step_until(6000), SH_BACK_OPENS);
    assert_int_equal(step_until(60000), SH_BACK_CLOSES);
    assert_int_equal(now, 5000 + SH_BACK_OPEN_MS);
    assert_false(sh_back_is_open(&back) || sh_back_hopes(&back));
    sh_back_refused(&back); /* nothing has changed */
    assert_int_equal(step_until(120000), SH_BACK_STAYS);
}

static void test_it_closes_when_the_link_is_up(void **state SH_UNUSED)
{
    sh_back_offers(&back, true, false);
    assert_int_equal(step_until(6000), SH_BACK_OPENS);
    sh_back_up(&back);
    assert_int_equal(sh_back_tick(&back, now), SH_BACK_CLOSES);
    assert_int_equal(step_until(60000), SH_BACK_STAYS);
}

/* Each change is a reason once; it rests between, longer each time, and not for ever. */
static void test_it_opens_again_after_a_change(void **state SH_UNUSED)
{
    unsigned opened = 0;
    sh_back_offers(&back, true, true);
    for (unsigned i = 0; i < 2 * SH_BACK_SETS; i++) {
        sh_back_changed(&back);
        sh_back_refused(&back);
        sh_ms before = now;
        if (step_until(now + 60000) != SH_BACK_OPENS)
            continue;
        opened++;
        if (i > 0)
            assert_in_range(now - before, SH_BACKOFF_MS * i - 10, SH_BACKOFF_MS * i + 10);
        sh_back_up(&back);
        assert_int_equal(sh_back_tick(&back, now), SH_BACK_CLOSES);
        sh_back_down(&back);
    }
    assert_int_equal(opened, SH_BACK_SETS);
}

static void test_one_that_cannot_be_opened(void **state SH_UNUSED)
{
    sh_back_offers(&back, true, false);
    assert_int_equal(step_until(6000), SH_BACK_OPENS);
    sh_back_give_up(&back, now);
    assert_false(sh_back_is_open(&back) || sh_back_hopes(&back));
    assert_int_equal(step_until(60000), SH_BACK_STAYS);
}

/* ---- What may be called ---- */

#define V4(a, b, c, d)                                                                             \
    {                                                                                              \
        4, (uint8_t[])                                                                             \
        {                                                                                          \
            a, b, c, d                                                                             \
        }                                                                                          \
    }
#define V6(first, second, last)                                                                    \
    {                                                                                              \
        16, (uint8_t[])                                                                            \
        {                                                                                          \
            first, second, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last                             \
        }                                                                                          \
    }

static enum sh_cause read_one(int kind, uint32_t port, ProtobufCBinaryData *addresses, size_t count,
                              const Simhop__LinkOffer *own, bool here, struct sh_back_offer *ret)
{
    Simhop__LinkOffer offer = SIMHOP__LINK_OFFER__INIT, *list[] = {&offer};
    Simhop__LinkOffers offers = SIMHOP__LINK_OFFERS__INIT;
    offer.kind = (Simhop__LinkKind)kind;
    offer.port = port;
    offer.addresses = addresses;
    offer.n_addresses = count;
    offers.offers = list;
    offers.n_offers = 1;
    return sh_back_read(&offers, own, here, ret);
}

static void test_what_is_called(void **state SH_UNUSED)
{
    ProtobufCBinaryData all[] = {V4(10, 0, 0, 2), V6(0xfd, 1, 2), V4(192, 168, 1, 7),
                                 V6(0x20, 1, 9)};
    struct sh_back_offer offer;
    assert_ok(read_one(LAN, 7, all, SH_COUNT(all), NULL, false, &offer));
    assert_int_equal(offer.base.kind, LAN);
    assert_int_equal(offer.base.port, 7);
    assert_int_equal(offer.base.n_addresses, SH_COUNT(all));
    for (size_t i = 0; i < SH_COUNT(all); i++)
        assert_ptr_equal(offer.base.addresses[i].data, all[i].data);
    assert_ok(sh_ladder_check_offer(&offer.base));
}

static void test_what_is_not_called(void **state SH_UNUSED)
{
    ProtobufCBinaryData none[] = {
        V4(127, 0, 0, 1),
        V4(127, 8, 0, 1),
        V4(0, 0, 0, 0),
        V4(224, 0, 0, 1),
        V4(255, 255, 255, 255),
        V4(169, 254, 1, 1),
        V6(0, 0, 1),
        V6(0, 0, 0),
        V6(0xff, 2, 1),
        V6(0xfe, 0x80, 1),
        {16, (uint8_t[]){0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1}},
        {16, (uint8_t[]){0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1}}};
    struct sh_back_offer offer;
    for (size_t i = 0; i < SH_COUNT(none); i++) {
        assert_ok(read_one(LAN, 7, &none[i], 1, NULL, false, &offer));
        assert_int_equal(offer.base.n_addresses, 0);
    }
}

/* Nor what is this machine's own, where no firewall stands before its services; but where both ends are on it. */
static void test_our_own_addresses(void **state SH_UNUSED)
{
    ProtobufCBinaryData ours[] = {V4(10, 0, 0, 1), V6(0xfd, 1, 1)}, loopback[] = {V4(127, 0, 0, 1)};
    ProtobufCBinaryData theirs[] = {V4(10, 0, 0, 1), V4(127, 0, 0, 1), V6(0, 0, 1), V6(0xfd, 1, 1),
                                    V4(10, 0, 0, 2)};
    Simhop__LinkOffer own = SIMHOP__LINK_OFFER__INIT;
    struct sh_back_offer offer;
    own.addresses = ours;
    own.n_addresses = SH_COUNT(ours);
    assert_ok(read_one(LAN, 7, theirs, SH_COUNT(theirs), &own, false, &offer));
    assert_int_equal(offer.base.n_addresses, 1);
    assert_ptr_equal(offer.base.addresses[0].data, theirs[4].data);
    assert_ok(read_one(LAN, 7, theirs, SH_COUNT(theirs), &own, true, &offer));
    assert_int_equal(offer.base.n_addresses, SH_COUNT(theirs));
    own.addresses = loopback;
    own.n_addresses = 1;
    assert_ok(read_one(LAN, 7, theirs, SH_COUNT(theirs), &own, false, &offer));
    assert_int_equal(offer.base.n_addresses, SH_COUNT(theirs));
    own.n_addresses = 0; /* it offers nothing: that is no loopback */
    assert_ok(read_one(LAN, 7, &theirs[1], 1, &own, false, &offer));
    assert_int_equal(offer.base.n_addresses, 0);
}

static void test_too_many(void **state SH_UNUSED)
{
    ProtobufCBinaryData many[40];
    uint8_t octets[40][4];
    struct sh_back_offer offer;
    for (size_t i = 0; i < SH_COUNT(many); i++) {
        const uint8_t address[] = {10, 0, 1, (uint8_t)i};
        memcpy(octets[i], address, sizeof(address));
        many[i] = (ProtobufCBinaryData){4, octets[i]};
    }
    assert_ok(read_one(LAN, 7, many, SH_COUNT(many), NULL, false, &offer));
    assert_int_equal(offer.base.n_addresses, SH_BACK_ADDRESSES);
}

static void test_malformed(void **state SH_UNUSED)
{
    ProtobufCBinaryData good = V4(10, 0, 0, 2), bad = {5, (uint8_t[]){10, 0, 0, 2, 1}},
                        empty = {0, NULL};
    struct sh_back_offer offer;
    assert_cause(read_one(LAN, 0, &good, 1, NULL, false, &offer), SH_PROTO_MALFORMED);
    assert_cause(read_one(LAN, 65536, &good, 1, NULL, false, &offer), SH_PROTO_MALFORMED);
    assert_cause(read_one(LAN, 7, &bad, 1, NULL, false, &offer), SH_PROTO_MALFORMED);
    assert_cause(read_one(LAN, 7, &empty, 1, NULL, true, &offer), SH_PROTO_MALFORMED);
}

static void test_other_kinds(void **state SH_UNUSED)
{
    static const int kinds[] = {0, SIMHOP__LINK_KIND__LINK_KIND_BLE,
                                SIMHOP__LINK_KIND__LINK_KIND_WIFI_DIRECT, 99};
    ProtobufCBinaryData good = V4(10, 0, 0, 2);
    struct sh_back_offer offer;
    for (size_t i = 0; i < SH_COUNT(kinds); i++) {
        assert_ok(read_one(kinds[i], 7, &good, 1, NULL, true, &offer));
        assert_int_equal(offer.base.n_addresses, 0);
    }
}

/* ---- The verdict waits for it, within the time that a view has ---- */

static bool hope;
static unsigned told;

static bool on_ask(int kind SH_UNUSED, void *user SH_UNUSED)
{
    return false;
}

static void on_failed(int kind SH_UNUSED, enum sh_cause verdict, void *user SH_UNUSED)
{
    assert_cause(verdict, SH_LINK_TIMEOUT);
    told++;
}

static bool on_hopes(int kind, void *user SH_UNUSED)
{
    return kind == LAN && hope;
}

static void test_the_verdict_waits(void **state SH_UNUSED)
{
    static const struct sh_paths_ops ops = {.ask = on_ask, .failed = on_failed, .hopes = on_hopes};
    struct sh_paths paths = {.ops = &ops};
    told = 0;
    hope = true;
    sh_paths_given_up(&paths, LAN, SH_LINK_TIMEOUT, now);
    sh_paths_tick(&paths, now + SH_VIEW_MS - 1);
    assert_int_equal(told, 0);
    sh_paths_tick(&paths, now + SH_VIEW_MS);
    assert_int_equal(told, 1);
    sh_paths_given_up(&paths, LAN, SH_LINK_TIMEOUT, now); /* hope that ends */
    hope = false;
    sh_paths_tick(&paths, now + 1);
    assert_int_equal(told, 2);
    hope = true;
    sh_paths_given_up(&paths, LAN, SH_LINK_TIMEOUT, now); /* and hope that comes true */
    sh_paths_up(&paths, LAN);
    sh_paths_tick(&paths, now + SH_VIEW_MS);
    assert_int_equal(told, 2);
    hope = false;
    sh_paths_given_up(&paths, LAN, SH_LINK_TIMEOUT, now);
    assert_int_equal(told, 3);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_it_opens_when_attempts_hang),
        TEST(test_it_opens_when_they_fail),
        TEST(test_it_opens_without_addresses),
        TEST(test_it_stays_closed_without_a_need),
        TEST(test_it_stays_closed_for_one_that_does_not_call),
        TEST(test_it_closes_in_time),
        TEST(test_it_closes_when_the_link_is_up),
        TEST(test_it_opens_again_after_a_change),
        TEST(test_one_that_cannot_be_opened),
        TEST(test_what_is_called),
        TEST(test_what_is_not_called),
        TEST(test_our_own_addresses),
        TEST(test_too_many),
        TEST(test_malformed),
        TEST(test_other_kinds),
        TEST(test_the_verdict_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
