/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "air_hci.h"
#include "pairing/advert.h"
#include "pairing/air.h"

#define PACKETS 64

struct packet {
    size_t n;
    uint8_t octets[300];
};

/* What came out at one side. */
struct side {
    unsigned n;
    struct packet packet[PACKETS];
};

struct world {
    struct air_hci *air;
    struct side host[3], controller[3];
    bool far;
    int dbm;
    unsigned from, to;
    uint64_t number;
    bool incoming;
};

static void put(struct side *side, struct sh_bytes packet)
{
    assert_true(side->n < PACKETS && packet.n <= sizeof(side->packet[0].octets));
    memcpy(side->packet[side->n].octets, packet.p, packet.n);
    side->packet[side->n++].n = packet.n;
}

static void to_host(unsigned c, struct sh_bytes packet, void *user)
{
    struct world *w = user;
    put(&w->host[c], packet);
}

static void to_controller(unsigned c, struct sh_bytes packet, void *user)
{
    struct world *w = user;
    put(&w->controller[c], packet);
}

static bool in_range(unsigned a SH_UNUSED, unsigned b SH_UNUSED, void *user)
{
    const struct world *w = user;
    return !w->far;
}

static int advert_dbm(unsigned from, unsigned to, uint64_t n, void *user)
{
    struct world *w = user;
    w->from = from;
    w->to = to;
    w->number = n;
    return w->dbm;
}

static int link_dbm(unsigned from, unsigned to, uint64_t n, bool incoming, void *user)
{
    struct world *w = user;
    w->incoming = incoming;
    return advert_dbm(from, to, n, user);
}

static const struct air_hci_ops ops = {.to_host = to_host,
                                       .to_controller = to_controller,
                                       .in_range = in_range,
                                       .advert_dbm = advert_dbm,
                                       .link_dbm = link_dbm};

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    if (!w)
        return -1;
    w->air = air_hci_new(3, &ops, w);
    w->dbm = -47;
    *state = w;
    return w->air ? 0 : -1;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    air_hci_free(w->air);
    free(w);
    return 0;
}

static void forget(struct world *w)
{
    memset(w->host, 0, sizeof(w->host));
    memset(w->controller, 0, sizeof(w->controller));
}

/* A copy of exactly that size, so that a sanitizer sees any read beyond it. */
static void feed(struct world *w, bool host, unsigned c, const uint8_t *octets, size_t n, sh_ms now)
{
    uint8_t *copy = malloc(n > 0 ? n : 1);
    assert_non_null(copy);
    if (n > 0)
        memcpy(copy, octets, n);
    (host ? air_hci_from_host : air_hci_from_controller)(w->air, c, SH_BYTES(copy, n), now);
    free(copy);
}

#define HOST(w, c, now, ...)                                                                       \
    do {                                                                                           \
        const uint8_t octets[] = {__VA_ARGS__};                                                    \
        feed(w, true, c, octets, sizeof(octets), now);                                             \
    } while (0)
#define CONTROLLER(w, c, now, ...)                                                                 \
    do {                                                                                           \
        const uint8_t octets[] = {__VA_ARGS__};                                                    \
        feed(w, false, c, octets, sizeof(octets), now);                                            \
    } while (0)
/* A command that succeeds. */
static void command(struct world *w, unsigned c, uint8_t low, uint8_t high,
                    const uint8_t *parameters, size_t n)
{
    uint8_t octets[4 + 64] = {1, low, high, (uint8_t)n};
    const uint8_t reply[] = {4, 0x0e, 4, 1, low, high, 0};
    assert_true(n <= 64);
    memcpy(octets + 4, parameters, n);
    feed(w, true, c, octets, 4 + n, 0);
    feed(w, false, c, reply, sizeof(reply), 0);
}
#define COMMAND(w, c, low, high, ...)                                                              \
    do {                                                                                           \
        const uint8_t parameters[] = {__VA_ARGS__};                                                \
        command(w, c, low, high, parameters, sizeof(parameters));                                  \
    } while (0)

#define PRIVATE 0x01, 0x02, 0x03, 0x04, 0x05, 0x46

/* Controller 0 advertises {2, 1, 6} from a private address, every 100 ms. */
static void advertise(struct world *w)
{
    COMMAND(w, 0, 0x05, 0x20, PRIVATE);
    COMMAND(w, 0, 0x06, 0x20, 0xa0, 0, 0xa0, 0, 0 /* connectable */, 1, 0, 0, 0, 0, 0, 0, 0, 7, 0);
    COMMAND(w, 0, 0x08, 0x20, 3, 2, 1, 6);
    COMMAND(w, 0, 0x0a, 0x20, 1);
}

/* Controller 1 scans all the time; active or not. */
static void scan(struct world *w, uint8_t active, uint8_t policy, uint8_t duplicates)
{
    COMMAND(w, 1, 0x0b, 0x20, active, 0x12, 0, 0x12, 0, 0, policy);
    COMMAND(w, 1, 0x0c, 0x20, 1, duplicates);
}

static unsigned run(struct world *w, sh_ms from, sh_ms to)
{
    forget(w);
    for (sh_ms now = from; now < to; now++)
        air_hci_tick(w->air, now);
    return w->host[1].n;
}

static const uint8_t report[] = {4, 0x3e, 15, 0x02, 1, 0, 1, PRIVATE, 3, 2, 1, 6, 0xd1 /* -47 */};

static void an_advertiser_is_heard_at_its_interval(void **state)
{
    struct world *w = *state;
    advertise(w);
    scan(w, 0, 0, 1);
    unsigned n = run(w, 1000, 3000);
    assert_in_range(n, 18, 20); /* 100 ms and up to 10 ms each */
    assert_int_equal(w->host[1].packet[0].n, sizeof(report));
    assert_memory_equal(w->host[1].packet[0].octets, report, sizeof(report));
    assert_int_equal(w->from, 0);
    assert_int_equal(w->to, 1);
    assert_int_equal(w->number, n - 1);
    assert_int_equal(w->host[0].n + w->host[2].n, 0);
    /* What the emulation reports itself is nothing that anybody heard. */
    forget(w);
    feed(w, false, 1, report, sizeof(report), 3000);
    assert_int_equal(w->host[1].n, 0);
}

static void it_is_heard_no_more_when_it_stops_or_is_far(void **state)
{
    struct world *w = *state;
    advertise(w);
    scan(w, 0, 0, 1);
    w->far = true;
    assert_int_equal(run(w, 1000, 2000), 0);
    w->far = false;
    assert_true(run(w, 2000, 3000) > 0);
    COMMAND(w, 0, 0x0a, 0x20, 0);
    assert_int_equal(run(w, 3000, 4000), 0);
    /* A command that is refused changes nothing. */
    HOST(w, 0, 4000, 1, 0x0a, 0x20, 1, 1);
    CONTROLLER(w, 0, 4000, 4, 0x0e, 4, 1, 0x0a, 0x20, 0x0c);
    assert_int_equal(run(w, 4000, 5000), 0);
    /* Nor is anything left after a reset. */
    COMMAND(w, 0, 0x0a, 0x20, 1);
    HOST(w, 0, 5000, 1, 0x03, 0x0c, 0);
    CONTROLLER(w, 0, 5000, 4, 0x0e, 4, 1, 0x03, 0x0c, 0);
    assert_int_equal(run(w, 5000, 6000), 0);
}

static void new_data_and_a_new_address_count_at_once(void **state)
{
    struct world *w = *state;
    advertise(w);
    scan(w, 0, 0, 1);
    COMMAND(w, 0, 0x08, 0x20, 3, 2, 1, 4);
    COMMAND(w, 0, 0x05, 0x20, 9, 9, 9, 9, 9, 0x49);
    assert_true(run(w, 1000, 2000) > 0);
    assert_int_equal(w->host[1].packet[0].octets[7], 9);
    assert_int_equal(w->host[1].packet[0].octets[16], 4);
}

static void an_active_scan_gets_the_response_too(void **state)
{
    struct world *w = *state;
    advertise(w);
    COMMAND(w, 0, 0x09, 0x20, 2, 1, 0xff);
    scan(w, 1, 0, 1);
    unsigned n = run(w, 1000, 1050);
    assert_int_equal(n, 2);
    assert_int_equal(w->host[1].packet[1].octets[5], 4);
    assert_int_equal(w->host[1].packet[1].octets[13], 2);
}

static void filters_of_the_scan_are_kept(void **state)
{
    struct world *w = *state;
    advertise(w);
    scan(w, 0, 1, 1);
    assert_int_equal(run(w, 1000, 2000), 0);
    COMMAND(w, 1, 0x11, 0x20, 1, PRIVATE);
    assert_true(run(w, 2000, 3000) > 0);
    COMMAND(w, 1, 0x12, 0x20, 1, PRIVATE);
    assert_int_equal(run(w, 3000, 4000), 0);
    struct air_hci_settings strict = {.interval_ms = 100, .strict_duplicates = true};
    air_hci_set(w->air, &strict);
    scan(w, 0, 0, 1);
    assert_int_equal(run(w, 4000, 5000), 1);
    scan(w, 0, 0, 0);
    assert_true(run(w, 5000, 6000) > 5);
}

static void half_the_time_hears_half(void **state)
{
    struct world *w = *state;
    advertise(w);
    COMMAND(w, 1, 0x0b, 0x20, 0, 0x60, 0, 0x30, 0, 0, 0);
    COMMAND(w, 1, 0x0c, 0x20, 1, 0);
    assert_in_range(run(w, 1000, 6000), 15, 35);
}

/* Interval and window, policy 0, peer: random PRIVATE; the rest is the connection's. */
#define CREATE                                                                                     \
    1, 0x0d, 0x20, 25, 0x60, 0, 0x60, 0, 0, 1, PRIVATE, 0, 0x18, 0, 0x28, 0, 0, 0, 0x2a, 0, 0, 0,  \
        0, 0

static void connect(struct world *w)
{
    /* The second's address is public, and known from the reply to Read BD_ADDR. */
    CONTROLLER(w, 1, 0, 4, 0x0e, 10, 1, 0x09, 0x10, 0, 0x42, 0, 1, 1, 0xaa, 0);
    advertise(w);
    HOST(w, 1, 1000, CREATE);
    run(w, 1000, 1200);
    CONTROLLER(w, 0, 1200, 4, 0x3e, 19, 1, 0, 0x2a, 0, 1, 0, 0x42, 0, 1, 1, 0xaa, 0, 0x28, 0, 0, 0,
               0x2a, 0, 0);
    CONTROLLER(w, 1, 1200, 4, 0x0f, 4, 0, 1, 0x0d, 0x20);
    CONTROLLER(w, 1, 1200, 4, 0x3e, 19, 1, 0, 0x2a, 0, 0, 1, PRIVATE, 0x28, 0, 0, 0, 0x2a, 0, 0);
}

static void a_connection_waits_for_the_advertiser(void **state)
{
    struct world *w = *state;
    static const uint8_t status[] = {4, 0x0f, 4, 0, 1, 0x0d, 0x20};
    static const uint8_t create[] = {CREATE};
    HOST(w, 1, 0, CREATE);
    assert_int_equal(w->controller[1].n, 0);
    assert_int_equal(w->host[1].n, 1);
    assert_memory_equal(w->host[1].packet[0].octets, status, sizeof(status));
    advertise(w);
    w->far = true;
    run(w, 1000, 2000);
    assert_int_equal(w->controller[1].n, 0);
    w->far = false;
    run(w, 2000, 2200);
    assert_int_equal(w->controller[1].n, 1);
    assert_memory_equal(w->controller[1].packet[0].octets, create, sizeof(create));
    /* The kernel has had its status. */
    feed(w, false, 1, status, sizeof(status), 2200);
    assert_int_equal(w->host[1].n, 0);
}

static void a_connection_that_is_not_made_can_be_given_up(void **state)
{
    struct world *w = *state;
    static const uint8_t reply[] = {4, 0x0e, 4, 1, 0x0e, 0x20, 0};
    HOST(w, 1, 0, CREATE);
    forget(w);
    HOST(w, 1, 100, 1, 0x0e, 0x20, 0);
    assert_int_equal(w->controller[1].n, 0);
    assert_int_equal(w->host[1].n, 2);
    assert_memory_equal(w->host[1].packet[0].octets, reply, sizeof(reply));
    assert_int_equal(w->host[1].packet[1].octets[3], 1); /* LE Connection Complete */
    assert_int_equal(w->host[1].packet[1].octets[4], 2); /* unknown connection */
    advertise(w);
    run(w, 1000, 2000);
    assert_int_equal(w->controller[1].n, 0);
}

static void a_reply_to_read_rssi_is_of_the_model(void **state)
{
    struct world *w = *state;
    connect(w);
    forget(w);
    w->dbm = -60;
    CONTROLLER(w, 0, 1300, 4, 0x0e, 7, 1, 0x05, 0x14, 0, 0x2a, 0, 0xff);
    assert_int_equal((int8_t)w->host[0].packet[0].octets[9], -60);
    assert_int_equal(w->from, 1);
    assert_int_equal(w->to, 0);
    assert_true(w->incoming);
    CONTROLLER(w, 1, 1300, 4, 0x0e, 7, 1, 0x05, 0x14, 0, 0x2a, 0, 0xff);
    assert_int_equal(w->from, 0);
    assert_false(w->incoming);
    CONTROLLER(w, 1, 1300, 4, 0x0e, 7, 1, 0x05, 0x14, 0, 0x2a, 0, 0xff);
    assert_int_equal(w->number, 1);
    /* Of no connection of ours: as it was. */
    CONTROLLER(w, 1, 1300, 4, 0x0e, 7, 1, 0x05, 0x14, 0, 0x2b, 0, 0xff);
    assert_int_equal((int8_t)w->host[1].packet[2].octets[9], -1);
}

#define DATA 2, 0x2a, 0, 4, 0, 0, 0, 4, 0

static void tick(struct world *w, sh_ms from, sh_ms to)
{
    for (sh_ms now = from; now < to; now++)
        air_hci_tick(w->air, now);
}

static void data_goes_at_its_rate(void **state)
{
    struct world *w = *state;
    struct air_hci_settings slow = {.interval_ms = 100, .rate = 900};
    connect(w);
    air_hci_set(w->air, &slow);
    forget(w);
    for (unsigned i = 0; i < 8; i++)
        HOST(w, 1, 2000, DATA);
    tick(w, 2000, 2010);
    assert_int_equal(w->controller[1].n, 0);
    tick(w, 2010, 2011);
    assert_in_range(w->controller[1].n, 1, 4);
    tick(w, 2011, 2110);
    assert_int_equal(w->controller[1].n, 8); /* 9 octets each 10 ms */
}

/* What has gathered by a connection event goes in it. */
static void data_goes_in_connection_events(void **state)
{
    struct world *w = *state;
    connect(w);
    forget(w);
    for (unsigned i = 0; i < 8; i++)
        HOST(w, 1, 2000 + i, DATA);
    tick(w, 2000, 2010);
    assert_int_equal(w->controller[1].n, 0);
    tick(w, 2010, 2011);
    assert_int_equal(w->controller[1].n, 8);
    HOST(w, 1, 2011, DATA);
    tick(w, 2011, 2025);
    assert_int_equal(w->controller[1].n, 8);
    tick(w, 2025, 2026);
    assert_int_equal(w->controller[1].n, 9);
}

/* The second calls the third too: 0x2b there, and 0x2a, the first that is free, at the third. */
static void each_end_has_its_own_handle(void **state)
{
    struct world *w = *state;
    connect(w);
    COMMAND(w, 2, 0x05, 0x20, 7, 7, 7, 7, 7, 0x47);
    forget(w);
    CONTROLLER(w, 2, 1300, 4, 0x3e, 19, 1, 0, 0x2b, 0, 1, 0, 0x42, 0, 1, 1, 0xaa, 0, 0x28, 0, 0, 0,
               0x2a, 0, 0);
    CONTROLLER(w, 1, 1300, 4, 0x3e, 19, 1, 0, 0x2b, 0, 0, 1, 7, 7, 7, 7, 7, 0x47, 0x28, 0, 0, 0,
               0x2a, 0, 0);
    assert_int_equal(w->host[2].packet[0].octets[5], 0x2a);
    assert_int_equal(w->host[1].packet[0].octets[5], 0x2b);
    for (unsigned c = 0; c < 3; c++)
        HOST(w, c, 2000, DATA); /* from the second to the first */
    HOST(w, 1, 2000, 2, 0x2b, 0x10, 1, 0, 9);
    forget(w);
    tick(w, 2000, 2020);
    /* As the emulation does: with the sender's handle, to the other end. */
    feed(w, false, 1, w->controller[0].packet[0].octets, 9, 2020);
    feed(w, false, 1, w->controller[2].packet[0].octets, 9, 2020);
    feed(w, false, 0, w->controller[1].packet[0].octets, 9, 2020);
    feed(w, false, 2, w->controller[1].packet[1].octets, 6, 2020);
    static const struct {
        unsigned host, packet;
        uint8_t low, high;
    } wanted[] = {{1, 0, 0x2a, 0x20}, {1, 1, 0x2b, 0x20}, {0, 0, 0x2a, 0x20}, {2, 0, 0x2a, 0x10}};
    for (size_t i = 0; i < SH_COUNT(wanted); i++) {
        const uint8_t *octets = w->host[wanted[i].host].packet[wanted[i].packet].octets;
        assert_int_equal(octets[1], wanted[i].low);
        assert_int_equal(octets[2], wanted[i].high);
    }
}

static void what_is_far_ends_after_a_while(void **state)
{
    struct world *w = *state;
    static const uint8_t disconnect[] = {1, 0x06, 0x04, 3, 0x2a, 0, 8};
    connect(w);
    w->far = true;
    forget(w);
    HOST(w, 1, 2000, DATA);
    assert_int_equal(w->controller[1].n, 0);
    run(w, 2000, 3900);
    assert_int_equal(w->controller[0].n + w->controller[1].n, 0);
    run(w, 3900, 6000);
    assert_int_equal(w->controller[0].n + w->controller[1].n, 1); /* one of both asks for it */
    unsigned c = w->controller[0].n == 1 ? 0 : 1;
    assert_memory_equal(w->controller[c].packet[0].octets, disconnect, sizeof(disconnect));
    /* The kernel did not ask, and is told the end alone. */
    forget(w);
    CONTROLLER(w, c, 6000, 4, 0x0f, 4, 0, 1, 0x06, 0x04);
    assert_int_equal(w->host[c].n, 0);
    CONTROLLER(w, c, 6000, 4, 0x05, 4, 0, 0x2a, 0, 8);
    assert_int_equal(w->host[c].n, 1);
    HOST(w, c, 6000, DATA);
    assert_int_equal(w->controller[c].n, 1); /* no connection, no matter of the air */
}

static void what_comes_back_in_time_goes_on(void **state)
{
    struct world *w = *state;
    connect(w);
    w->far = true;
    forget(w);
    HOST(w, 1, 2000, DATA);
    run(w, 2000, 3500);
    w->far = false;
    run(w, 3500, 8000);
    assert_int_equal(w->controller[1].n, 1);
    assert_int_equal(w->controller[1].packet[0].octets[0], 2);
}

static void the_other_end_of_one_that_was_reset_hears_of_it(void **state)
{
    struct world *w = *state;
    static const uint8_t event[] = {4, 5, 4, 0, 0x2a, 0, 8};
    connect(w);
    HOST(w, 0, 2000, 1, 0x03, 0x0c, 0);
    CONTROLLER(w, 0, 2000, 4, 0x0e, 4, 1, 0x03, 0x0c, 0);
    run(w, 2000, 5000);
    assert_int_equal(w->host[1].n, 1);
    assert_memory_equal(w->host[1].packet[0].octets, event, sizeof(event));
}

static void noise_is_ours_by_its_uuid_and_garbage_by_its_data(void **state)
{
    struct world *w = *state;
    struct air_hci_settings noisy = {.interval_ms = 100, .noise = 30};
    unsigned ours = 0;
    air_hci_set(w->air, &noisy);
    scan(w, 0, 0, 0);
    unsigned n = run(w, 1000, 2000);
    assert_in_range(n, 28, 31);
    for (unsigned i = 0; i < n; i++) {
        const struct packet *p = &w->host[1].packet[i];
        struct sh_advert advert;
        assert_int_equal(p->n, 3u + p->octets[2]);
        if (sh_advert_decode(SH_BYTES(p->octets + 14, p->octets[13]), &advert) == SH_OK)
            ours++;
        assert_true(memcmp(p->octets + 14 + 5, sh_advert_uuid, sizeof(sh_advert_uuid)) == 0);
    }
    assert_true(ours < n);
    assert_int_equal(w->host[0].n, 0);
}

static void lengths_of_packets(void **state SH_UNUSED)
{
    static const uint8_t event[] = {4, 0x0e, 4, 1, 2, 3, 4};
    static const uint8_t acl[] = {2, 0x2a, 0x20, 0x10, 1};
    static const uint8_t wrong[] = {9, 9, 9};
    static const uint8_t huge[] = {2, 0, 0, 0xff, 0xff};
    assert_int_equal(air_hci_packet_size(SH_BYTES(NULL, 0)), 0);
    assert_int_equal(air_hci_packet_size(SH_BYTES(event, 2)), 0);
    assert_int_equal(air_hci_packet_size(SH_BYTES(event, 3)), 7);
    assert_int_equal(air_hci_packet_size(SH_BYTES(acl, 4)), 0);
    assert_int_equal(air_hci_packet_size(SH_BYTES(acl, 5)), 5 + 0x110);
    assert_int_equal(air_hci_packet_size(SH_BYTES(wrong, 3)), SIZE_MAX);
    assert_int_equal(air_hci_packet_size(SH_BYTES(huge, 5)), SIZE_MAX);
}

/* Every packet of a connection cut at every octet, with each octet bent: it may be nonsense, it may not be read beyond. */
static void packets_that_are_cut_or_bent(void **state)
{
    struct world *w = *state;
    static const uint8_t packets[][40] = {
        {29, CREATE},
        {19, 1, 0x06, 0x20, 15, 0xa0, 0, 0xa0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 0},
        {8, 1, 0x08, 0x20, 4, 3, 2, 1, 6},
        {22, 4, 0x3e, 19, 1, 0, 0x2a, 0, 1, 0, 0x42, 0, 1, 1, 0xaa, 0, 0x28, 0, 0, 0, 0x2a, 0, 0},
        {10, 4, 0x0e, 7, 1, 0x05, 0x14, 0, 0x2a, 0, 0xff},
        {7, 4, 0x0f, 4, 0, 1, 0x0d, 0x20},
        {7, 4, 5, 4, 0, 0x2a, 0, 8},
        {9, DATA},
    };
    uint64_t draw = 1;
    for (size_t i = 0; i < SH_COUNT(packets); i++) {
        for (size_t n = 0; n <= packets[i][0]; n++) {
            for (unsigned k = 0; k < 20; k++) {
                uint8_t octets[40];
                memcpy(octets, packets[i] + 1, 39);
                draw = sh_air_hash(draw, k);
                if (k > 0)
                    octets[draw % packets[i][0]] = (uint8_t)(draw >> 32);
                forget(w);
                feed(w, k % 2 == 0, k % 3, octets, n, n);
                feed(w, k % 2 == 1, k % 3, octets, n, n);
                air_hci_tick(w->air, n * 100);
            }
        }
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_advertiser_is_heard_at_its_interval),
        TEST(it_is_heard_no_more_when_it_stops_or_is_far),
        TEST(new_data_and_a_new_address_count_at_once),
        TEST(an_active_scan_gets_the_response_too),
        TEST(filters_of_the_scan_are_kept),
        TEST(half_the_time_hears_half),
        TEST(a_connection_waits_for_the_advertiser),
        TEST(a_connection_that_is_not_made_can_be_given_up),
        TEST(a_reply_to_read_rssi_is_of_the_model),
        TEST(data_goes_at_its_rate),
        TEST(data_goes_in_connection_events),
        TEST(each_end_has_its_own_handle),
        TEST(what_is_far_ends_after_a_while),
        TEST(what_comes_back_in_time_goes_on),
        TEST(the_other_end_of_one_that_was_reset_hears_of_it),
        TEST(noise_is_ours_by_its_uuid_and_garbage_by_its_data),
        cmocka_unit_test(lengths_of_packets),
        TEST(packets_that_are_cut_or_bent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
