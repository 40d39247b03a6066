/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A Wi-Fi Direct link with both its sides, against a scripted wpa_supplicant each; a pair of virtual interfaces is the air. */
#ifndef SIMHOP_TESTS_WIFI_PAIR_H
#define SIMHOP_TESTS_WIFI_PAIR_H

#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include "system/clock.h"
#include "transfer/wifi_internal.h"
#include "transfer/wifi_mark.h"
#include "unit/transfer/fake_wpa.h"

static struct event_base *base;
static char folder[] = "/tmp/simhop-wifi.XXXXXX";
static char run_dir[72];
static struct fake_wpa wa, wb;
static struct sh_link *anchor, *secondary;

/* What the links told. */
static unsigned offers, losses, accepted, dialled, failed;
static enum sh_cause loss_cause, failed_cause;
static char failed_detail[160];
static struct sh_wifi_group group;
static uint8_t address[2][16];
static size_t address_len[2], address_count;
static uint16_t port;
static struct sh_stream *streams[2];
static unsigned received, closed;
static unsigned notes;

/* A group's interface that the kernel shows, while wpa_supplicant has it. */
static struct sh_wifi_iface shown;
static bool is_shown;

/* The station's interface; 1 is the loopback's, which is always there. */
static uint32_t station_ifindex;
/* The radio has no more than its station. */
static bool is_station_only;
/* Nor that: it was pulled. */
static bool is_pulled;
/* It has room for a station more. */
static bool has_second;

static inline enum sh_cause fake_read(struct sh_wifi_radio *radio)
{
    uint32_t p2p = SH_WIFI_BIT(SH_WIFI_P2P_CLIENT) | SH_WIFI_BIT(SH_WIFI_P2P_GO);
    *radio = (struct sh_wifi_radio){
        .phy_count = 1,
        .phys = {{.name = "phy0",
                  .types = SH_WIFI_BIT(SH_WIFI_STATION) | p2p,
                  .frequencies = {{.mhz = 2412}},
                  .frequency_count = 1,
                  .combinations = {{.limits = {{SH_WIFI_BIT(SH_WIFI_STATION), 1}, {p2p, 1}},
                                    .limit_count = 2,
                                    .total = 2,
                                    .channels = 1}},
                  .combination_count = 1}},
        .ifaces =
            {{.ifindex = station_ifindex, .name = "wlan0", .type = SH_WIFI_STATION, .up = true}},
        .iface_count = 1};
    if (is_station_only) {
        radio->phys[0].types = SH_WIFI_BIT(SH_WIFI_STATION);
        radio->phys[0].combinations[0].limit_count = 1;
        radio->phys[0].combinations[0].total = 1;
    }
    if (has_second) {
        radio->phys[0].combinations[0].limits[0].max = 2;
        radio->phys[0].combinations[0].total++;
    }
    if (is_pulled)
        radio->iface_count = 0;
    if (is_shown && fake_socket(&wa, shown.name))
        radio->ifaces[radio->iface_count++] = shown;
    return SH_OK;
}

static inline void on_offered(struct sh_link *link SH_UNUSED, const Simhop__LinkOffer *offer,
                              enum sh_cause cause, void *user SH_UNUSED)
{
    if (!offer) {
        losses++;
        loss_cause = cause;
        return;
    }
    offers++;
    const Simhop__WifiGroup *g = offer->wifi_group;
    assert_int_equal(offer->kind, SIMHOP__LINK_KIND__LINK_KIND_WIFI_DIRECT);
    group = (struct sh_wifi_group){.ssid_len = g->ssid.len, .frequency_mhz = g->frequency_mhz};
    memcpy(group.ssid, g->ssid.data, g->ssid.len);
    strcpy(group.passphrase, g->passphrase);
    memcpy(group.bssid, g->bssid.data, 6);
    port = (uint16_t)offer->port;
    address_count = offer->n_addresses;
    assert_in_range(address_count, 1, 2);
    for (size_t i = 0; i < address_count; i++) {
        address_len[i] = offer->addresses[i].len;
        memcpy(address[i], offer->addresses[i].data, address_len[i]);
    }
}

static inline void on_rx(struct sh_bytes bytes, void *user SH_UNUSED)
{
    received += (unsigned)bytes.n;
}

static inline void on_writable(void *user SH_UNUSED) {}

static inline void on_closed(enum sh_cause cause SH_UNUSED, void *user SH_UNUSED)
{
    closed++;
}

static const struct sh_stream_ops stream_ops = {
    .rx = on_rx, .writable = on_writable, .closed = on_closed};

static inline void on_accepted(struct sh_link *link SH_UNUSED, struct sh_stream *stream,
                               void *user SH_UNUSED)
{
    accepted++;
    stream->ops = &stream_ops;
    streams[0] = stream;
}

static inline void on_dialled(struct sh_link *link SH_UNUSED, unsigned attempt,
                              struct sh_stream *stream, void *user SH_UNUSED)
{
    assert_int_equal(attempt, 7);
    dialled++;
    stream->ops = &stream_ops;
    streams[1] = stream;
}

static inline void on_dial_failed(struct sh_link *link SH_UNUSED, unsigned attempt SH_UNUSED,
                                  enum sh_cause cause, const struct sh_path_facts *facts SH_UNUSED,
                                  void *user SH_UNUSED)
{
    failed++;
    failed_cause = cause;
    snprintf(failed_detail, sizeof(failed_detail), "%s", sh_detail());
}

static inline void on_note(const char *text, void *user SH_UNUSED)
{
    assert_true(strlen(text) > 0);
    assert_null(strstr(text, group.passphrase[0] ? group.passphrase : "\1"));
    notes++;
}

static const struct sh_link_ops ops = {.offered = on_offered,
                                       .accepted = on_accepted,
                                       .dialled = on_dialled,
                                       .dial_failed = on_dial_failed};

static inline struct sh_link *new_link(const char *control_dir, const char *run)
{
    struct sh_wifi_direct_config config = {
        .control_dir = control_dir, .run_dir = run, .note = on_note};
    struct sh_link *link = NULL;
    assert_ok(sh_link_wifi_direct_new(base, &config, &ops, NULL, &link));
    ((struct sh_wifi *)link)->read = fake_read;
    return link;
}

/* Until it is so, at most ten seconds. */
#define until(condition)                                                                           \
    do {                                                                                           \
        sh_ms end_ = sh_now() + 10000;                                                             \
        while (!(condition) && sh_now() < end_)                                                    \
            event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);                                  \
        assert_true(condition);                                                                    \
    } while (0)

static inline void run_for(unsigned ms)
{
    sh_ms end = sh_now() + ms;
    while (sh_now() < end)
        event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

/* Until what was said is heard, and answered, however slow the machine is. */
static inline void settle(void)
{
    for (unsigned i = 0; i < 100; i++)
        event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

static inline unsigned marks_in(const char *path)
{
    DIR *dir = opendir(path);
    const struct dirent *entry;
    unsigned count = 0;
    while (dir && (entry = readdir(dir)) != NULL)
        count += strstr(entry->d_name, ".mark") != NULL;
    if (dir)
        closedir(dir);
    return count;
}

static inline unsigned marks(void)
{
    return marks_in(run_dir);
}

static bool have_air;

static inline void air_up(void)
{
    assert_int_equal(system("ip link add p2p-a-0 type veth peer name p2p-b-0 && "
                            "ip link set p2p-a-0 up && ip link set p2p-b-0 up"),
                     0);
}

static inline int air_down(void)
{
    return system("ip link del p2p-a-0 2>/dev/null || true");
}

/* Both sides, with nothing asked of them yet. */
static inline void pair_up(void)
{
    char path[64];
    strcpy(folder, "/tmp/simhop-wifi.XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(run_dir, sizeof(run_dir), "%s/run", folder);
    base = event_base_new();
    snprintf(path, sizeof(path), "%s/wa", folder);
    fake_new(&wa, base, path, "p2p-a-0", true);
    anchor = new_link(path, run_dir);
    snprintf(path, sizeof(path), "%s/wb", folder);
    fake_new(&wb, base, path, "p2p-b-0", false);
    snprintf(run_dir + strlen(run_dir), 2, "b");
    secondary = new_link(path, run_dir);
    run_dir[strlen(run_dir) - 1] = '\0';
    offers = losses = accepted = dialled = failed = received = closed = notes = 0;
    streams[0] = streams[1] = NULL;
    is_shown = is_station_only = has_second = is_pulled = false;
    station_ifindex = 1;
}

static inline int setup(void **state SH_UNUSED)
{
    if (!have_air)
        return 0;
    air_up();
    pair_up();
    return 0;
}

static inline void close_streams(void)
{
    for (size_t i = 0; i < SH_COUNT(streams); i++) {
        sh_stream_close(streams[i]);
        streams[i] = NULL;
    }
}

static inline void pair_down(void)
{
    close_streams();
    event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK); /* dead ones are freed from it */
    close_streams(); /* one that was dialled and only now accepted */
    anchor->driver->free(anchor);
    secondary->driver->free(secondary);
    fake_free(&wa);
    fake_free(&wb);
    event_base_free(base);
    remove_tree(folder);
}

static inline int teardown(void **state SH_UNUSED)
{
    if (!have_air)
        return 0;
    pair_down();
    return air_down();
}

static inline void need_air(void)
{
    if (have_air)
        return;
    print_message("not tested: a network namespace with virtual interfaces needs root here\n");
    skip();
}

static inline void listen_up(void)
{
    static const uint8_t seed[32] = {1, 2, 3};
    assert_ok(anchor->driver->listen(anchor, SH_BYTES(seed, sizeof(seed))));
    until(offers > 0 || losses > 0);
}

static inline void dial(void)
{
    struct sh_attempt attempt = {.id = 7,
                                 .kind = SIMHOP__LINK_KIND__LINK_KIND_WIFI_DIRECT,
                                 .address_len = address_len[0],
                                 .port = port,
                                 .group = group};
    memcpy(attempt.address, address[0], address_len[0]);
    assert_ok(secondary->driver->dial(secondary, &attempt));
    until(dialled > 0 || failed > 0);
}

static inline void show_group(uint32_t type)
{
    is_shown = fake_socket(&wa, "p2p-a-0") != NULL;
    shown = (struct sh_wifi_iface){.ifindex = if_nametoindex("p2p-a-0"),
                                   .name = "p2p-a-0",
                                   .type = type,
                                   .ssid_len = type == SH_WIFI_P2P_GO ? strlen(wa.ssid) / 2 : 0};
    memcpy(shown.ssid, ssid_text(&wa), shown.ssid_len);
}

/* Whoever may not make a network namespace with interfaces of its own skips each test, saying so. */
static inline int run_pair(const struct CMUnitTest *tests, size_t count)
{
    have_air = unshare(CLONE_NEWNET) == 0 && system("ip link set lo up") == 0 &&
               system("ip link add p2p-x-0 type veth peer name p2p-y-0 2>/dev/null && "
                      "ip link del p2p-x-0") == 0;
    return _cmocka_run_group_tests("wifi pair", tests, count, NULL, NULL);
}

#endif
