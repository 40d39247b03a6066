/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The link with both its sides, against a scripted wpa_supplicant each; a pair of virtual interfaces is the air. */
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
static struct sh_wifi_group group;
static uint8_t address[2][16];
static size_t address_len[2], address_count;
static uint16_t port;
static struct sh_stream *streams[2];
static unsigned received, closed;
static unsigned notes;

/* A group's interface that the kernel shows. */
static struct sh_wifi_iface shown;
static bool is_shown;

static enum sh_cause fake_read(struct sh_wifi_radio *radio)
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
        .ifaces = {{.ifindex = 1, .name = "wlan0", .type = SH_WIFI_STATION, .up = true}},
        .iface_count = 1};
    if (is_shown)
        radio->ifaces[radio->iface_count++] = shown;
    return SH_OK;
}

static void on_offered(struct sh_link *link SH_UNUSED, const Simhop__LinkOffer *offer,
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

static void on_rx(struct sh_bytes bytes, void *user SH_UNUSED)
{
    received += (unsigned)bytes.n;
}

static void on_writable(void *user SH_UNUSED) {}

static void on_closed(enum sh_cause cause SH_UNUSED, void *user SH_UNUSED)
{
    closed++;
}

static const struct sh_stream_ops stream_ops = {
    .rx = on_rx, .writable = on_writable, .closed = on_closed};

static void on_accepted(struct sh_link *link SH_UNUSED, struct sh_stream *stream,
                        void *user SH_UNUSED)
{
    accepted++;
    stream->ops = &stream_ops;
    streams[0] = stream;
}

static void on_dialled(struct sh_link *link SH_UNUSED, unsigned attempt, struct sh_stream *stream,
                       void *user SH_UNUSED)
{
    assert_int_equal(attempt, 7);
    dialled++;
    stream->ops = &stream_ops;
    streams[1] = stream;
}

static void on_dial_failed(struct sh_link *link SH_UNUSED, unsigned attempt SH_UNUSED,
                           enum sh_cause cause, void *user SH_UNUSED)
{
    failed++;
    failed_cause = cause;
}

static void on_note(const char *text, void *user SH_UNUSED)
{
    assert_true(strlen(text) > 0);
    assert_null(strstr(text, group.passphrase[0] ? group.passphrase : "\1"));
    notes++;
}

static const struct sh_link_ops ops = {.offered = on_offered,
                                       .accepted = on_accepted,
                                       .dialled = on_dialled,
                                       .dial_failed = on_dial_failed};

static struct sh_link *new_link(const char *control_dir, const char *run)
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

static void run_for(unsigned ms)
{
    sh_ms end = sh_now() + ms;
    while (sh_now() < end)
        event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

/* Until what was said is heard, and answered, however slow the machine is. */
static void settle(void)
{
    for (unsigned i = 0; i < 100; i++)
        event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

static unsigned marks_in(const char *path)
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

static unsigned marks(void)
{
    return marks_in(run_dir);
}

static bool have_air;

static int setup(void **state SH_UNUSED)
{
    char path[64];
    if (!have_air)
        return 0;
    strcpy(folder, "/tmp/simhop-wifi.XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(run_dir, sizeof(run_dir), "%s/run", folder);
    base = event_base_new();
    assert_int_equal(system("ip link add p2p-a-0 type veth peer name p2p-b-0 && "
                            "ip link set p2p-a-0 up && ip link set p2p-b-0 up"),
                     0);
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
    is_shown = false;
    return 0;
}

static int teardown(void **state SH_UNUSED)
{
    if (!have_air)
        return 0;
    sh_stream_close(streams[0]);
    sh_stream_close(streams[1]);
    event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK); /* dead ones are freed from it */
    anchor->driver->free(anchor);
    secondary->driver->free(secondary);
    fake_free(&wa);
    fake_free(&wb);
    event_base_free(base);
    remove_tree(folder);
    return system("ip link del p2p-a-0 2>/dev/null || true");
}

static void need_air(void)
{
    if (have_air)
        return;
    print_message("not tested: a network namespace with virtual interfaces needs root here\n");
    skip();
}

static void listen_up(void)
{
    static const uint8_t seed[32] = {1, 2, 3};
    assert_ok(anchor->driver->listen(anchor, SH_BYTES(seed, sizeof(seed))));
    until(offers > 0 || losses > 0);
}

static void dial(void)
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

static void test_whole(void **state SH_UNUSED)
{
    need_air();
    listen_up();
    assert_int_equal(losses, 0);
    assert_int_equal(group.ssid_len, strlen("DIRECT-xy-abcdefgh"));
    assert_memory_equal(group.ssid, "DIRECT-", 7);
    assert_int_equal(strlen(group.passphrase), 32);
    assert_int_equal(group.frequency_mhz, 2412);
    assert_int_equal(marks(), 1);
    assert_ok(anchor->driver->listen(anchor, SH_BYTES("x", 1))); /* once is enough */
    dial();
    assert_int_equal(failed, 0);
    until(accepted > 0);
    sh_stream_send(streams[1], SH_BYTES("hello", 5));
    until(received == 5);
    sh_stream_send(streams[0], SH_BYTES("hello", 5));
    until(received == 10);
    assert_int_equal(fake_count(&wb, "SCAN TYPE=ONLY freq=2412"), 1);
    assert_true(notes >= 3);
    /* Both leave: what they made is taken away. */
    secondary->driver->rest(secondary);
    anchor->driver->unlisten(anchor);
    until(fake_count(&wa, "REMOVE_NETWORK 4") > 0 && fake_count(&wb, "REMOVE_NETWORK 4") > 0);
    assert_int_equal(fake_count(&wa, "P2P_GROUP_REMOVE p2p-a-0"), 1);
    assert_int_equal(fake_count(&wb, "P2P_GROUP_REMOVE p2p-b-0"), 1);
    assert_int_equal(marks(), 0);
    until(closed == 2);
    run_for(200);
    assert_int_equal(offers, 1);
    /* The offer's memory is gone; it was wanted so, and is no failure. */
    assert_int_equal(losses, 1);
    assert_int_equal(loss_cause, SH_OK);
}

static void test_same_seed(void **state SH_UNUSED)
{
    struct sh_wifi_group first;
    need_air();
    listen_up();
    first = group;
    fake_tell(&wa, "p2p-dev-wlan0", "<3>P2P-GROUP-REMOVED p2p-a-0 GO reason=UNAVAILABLE");
    until(losses == 1);
    assert_cause(loss_cause, SH_WIFI_GROUP_LOST);
    until(offers == 2); /* it is started anew, and is the same one */
    assert_memory_equal(first.ssid, group.ssid, sizeof(first.ssid));
    assert_string_equal(first.passphrase, group.passphrase);
}

static void test_interface_gone(void **state SH_UNUSED)
{
    need_air();
    listen_up();
    dial();
    until(accepted > 0);
    assert_int_equal(system("ip link del p2p-a-0"), 0);
    until(losses == 1 && closed == 2); /* at once, long before TCP would notice */
    assert_cause(loss_cause, SH_WIFI_GROUP_LOST);
}

static void test_refused(void **state SH_UNUSED)
{
    need_air();
    wa.fail = "P2P_GROUP_ADD";
    listen_up();
    assert_int_equal(offers, 0);
    assert_cause(loss_cause, SH_WIFI_GROUP_FAILED);
    assert_int_equal(fake_count(&wa, "REMOVE_NETWORK 4"), 0);
    run_for(50);
    assert_int_equal(fake_count(&wa, "REMOVE_NETWORK 4"), 1);
    wa.fail = NULL; /* tried again while it is wanted */
    until(offers == 1);
    assert_int_equal(losses, 1);
}

static void test_driver_fails(void **state SH_UNUSED)
{
    need_air();
    wa.event = "<3>AP-DISABLED ";
    listen_up();
    assert_cause(loss_cause, SH_WIFI_GROUP_FAILED);
}

static void test_wrong_key(void **state SH_UNUSED)
{
    need_air();
    listen_up();
    wb.event = "<3>CTRL-EVENT-SSID-TEMP-DISABLED id=0 ssid=\"x\" auth_failures=1 reason=WRONG_KEY";
    dial();
    assert_int_equal(failed, 1);
    assert_cause(failed_cause, SH_WIFI_WRONG_KEY);
    wb.event = NULL; /* another attempt begins anew */
    failed = 0;
    dial();
    assert_int_equal(dialled, 1);
}

static void test_full(void **state SH_UNUSED)
{
    need_air();
    listen_up();
    wb.event = "<3>CTRL-EVENT-ASSOC-REJECT bssid=46:00:00:00:00:01 status_code=17";
    dial();
    assert_cause(failed_cause, SH_WIFI_GROUP_FULL);
}

static void test_terminated(void **state SH_UNUSED)
{
    need_air();
    listen_up();
    fake_tell(&wa, "p2p-dev-wlan0", "<3>CTRL-EVENT-TERMINATING ");
    fake_free(&wa);
    until(losses == 1);
    assert_cause(loss_cause, SH_WIFI_NO_SUPPLICANT);
}

static void test_no_supplicant(void **state SH_UNUSED)
{
    need_air();
    fake_free(&wa);
    listen_up();
    assert_cause(loss_cause, SH_WIFI_NO_SUPPLICANT);
}

static void test_cancelled(void **state SH_UNUSED)
{
    need_air();
    listen_up();
    wb.mute = true;
    struct sh_attempt attempt = {.id = 7, .address_len = 16, .port = 1, .group = group};
    assert_ok(secondary->driver->dial(secondary, &attempt));
    run_for(100);
    secondary->driver->cancel(secondary, 7);
    run_for(100);
    assert_int_equal(failed + dialled, 0);
}

static void show_group(uint32_t type)
{
    is_shown = fake_socket(&wa, "p2p-a-0") != NULL;
    shown = (struct sh_wifi_iface){.ifindex = if_nametoindex("p2p-a-0"),
                                   .name = "p2p-a-0",
                                   .type = type,
                                   .ssid_len = type == SH_WIFI_P2P_GO ? strlen(wa.ssid) / 2 : 0};
    memcpy(shown.ssid, ssid_text(&wa), shown.ssid_len);
}

/* While the command for a group is on its way: what that leaves is swept before the next attempt. */
static void test_cancelled_late(void **state SH_UNUSED)
{
    need_air();
    char its_run_dir[sizeof(run_dir) + 1];
    snprintf(its_run_dir, sizeof(its_run_dir), "%sb", run_dir);
    listen_up();
    wb.hangs = true;
    struct sh_attempt attempt = {.id = 7, .address_len = 16, .port = 1, .group = group};
    assert_ok(secondary->driver->dial(secondary, &attempt));
    until(fake_count(&wb, "P2P_GROUP_ADD") == 1);
    secondary->driver->cancel(secondary, 7);
    settle();
    assert_int_equal(marks_in(its_run_dir), 1);
    wb.hangs = wb.mute = false;
    dial();
    assert_int_equal(dialled, 1);
    assert_int_equal(marks_in(its_run_dir), 1); /* that of what is up */
}

/* Freed in the middle of everything: what was made is said to be removed, without waiting. */
static void test_free_at_any_time(void **state SH_UNUSED)
{
    need_air();
    static const uint8_t seed[32] = {9};
    for (unsigned ms = 0; ms < 60; ms += 3) {
        assert_ok(anchor->driver->listen(anchor, SH_BYTES(seed, sizeof(seed))));
        run_for(ms);
        anchor->driver->free(anchor);
        anchor = new_link(wa.dir, run_dir);
        settle();
        /* One that was asked for and not heard of yet is the next one's to remove. */
        assert_int_equal(marks(), fake_socket(&wa, "p2p-a-0") ? 1 : 0);
        show_group(SH_WIFI_P2P_GO);
        assert_false(wa.network && wa.ssid[0]); /* one without a name could be anybody's */
        wa.log_count = 0;
    }
}

/* A process that was killed left its network and mark; the next one sweeps both before it begins. */
static void test_sweep(void **state SH_UNUSED)
{
    need_air();
    wa.network = true;
    snprintf(wa.ssid, sizeof(wa.ssid), "4449524543542d6162");
    pid_t child = fork();
    if (child == 0) {
        struct sh_wifi_mark_text text = {.kind = SH_WPA_OWN, .iface = "p2p-a-0", .ssid_len = 9};
        struct sh_wifi_mark *mark = NULL;
        memcpy(text.ssid, "DIRECT-ab", 9);
        snprintf(text.control, sizeof(text.control), "%s/p2p-dev-wlan0", wa.dir);
        if (sh_wifi_mark_new(run_dir, &mark) == SH_OK && sh_wifi_mark_set(mark, &text) == SH_OK)
            pause();
        _exit(1);
    }
    while (marks() == 0)
        usleep(1000);
    usleep(20000);
    /* While it lives its mark is its own. */
    listen_up();
    assert_int_equal(fake_count(&wa, "REMOVE_NETWORK"), 0);
    anchor->driver->free(anchor);
    run_for(20);
    wa.network = true;
    snprintf(wa.ssid, sizeof(wa.ssid), "4449524543542d6162");
    wa.log_count = 0;
    offers = 0;
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_int_equal(marks(), 1);
    anchor = new_link(wa.dir, run_dir);
    listen_up();
    unsigned removed = 0, added = 0;
    for (unsigned i = 0; i < wa.log_count; i++) {
        removed = begins(wa.log[i], "REMOVE_NETWORK 4") && removed == 0 ? i : removed;
        added = begins(wa.log[i], "ADD_NETWORK") ? i : added;
    }
    assert_true(removed > 0 && removed < added);
    /* The interface was not seen with that name any more: it may be anybody's. */
    assert_int_equal(fake_count(&wa, "P2P_GROUP_REMOVE"), 0);
    assert_int_equal(marks(), 1); /* our own */
}

static void write_mark(enum sh_wpa_task_kind kind, uint32_t ifindex)
{
    struct sh_wifi_mark_text text = {
        .kind = kind, .iface = "p2p-a-0", .ifindex = ifindex, .ssid = "DIRECT-ab", .ssid_len = 9};
    struct sh_wifi_mark *mark = NULL;
    snprintf(text.control, sizeof(text.control), "%s/p2p-dev-wlan0", wa.dir);
    assert_ok(sh_wifi_mark_new(run_dir, &mark));
    assert_ok(sh_wifi_mark_set(mark, &text));
    sh_wifi_mark_leave(mark);
}

/* The kernel tells no network of a client: its number shows that it is the one that was left. */
static void test_sweep_client(void **state SH_UNUSED)
{
    need_air();
    static const uint8_t seed[32] = {1, 2, 3};
    static const struct {
        enum sh_wpa_task_kind kind;
        uint32_t type;
        unsigned off; /* by which the number is another one */
        unsigned removed;
    } cases[] = {
        {SH_WPA_CLIENT, SH_WIFI_P2P_CLIENT, 0, 1}, {SH_WPA_CLIENT, SH_WIFI_P2P_CLIENT, 1, 0},
        {SH_WPA_CLIENT, SH_WIFI_P2P_GO, 0, 0},     {SH_WPA_CLIENT, SH_WIFI_STATION, 0, 0},
        {SH_WPA_STATION, SH_WIFI_STATION, 0, 0},   {SH_WPA_OWN, SH_WIFI_P2P_CLIENT, 0, 0}};
    for (size_t i = 0; i < SH_COUNT(cases); i++) {
        anchor->driver->free(anchor);
        settle();
        remove_tree(run_dir); /* a mark of one that had just begun */
        fake_open(&wa, "p2p-a-0");
        show_group(cases[i].type);
        write_mark(cases[i].kind, shown.ifindex + cases[i].off);
        wa.log_count = 0;
        anchor = new_link(wa.dir, run_dir);
        assert_ok(anchor->driver->listen(anchor, SH_BYTES(seed, sizeof(seed))));
        until(fake_count(&wa, "LIST_NETWORKS") == 1); /* the sweep's, after what it removes */
        assert_int_equal(fake_count(&wa, "P2P_GROUP_REMOVE p2p-a-0"), cases[i].removed);
        assert_int_equal(fake_count(&wa, "P2P_GROUP_REMOVE"), cases[i].removed);
    }
}

/* The event that tells of the group is lost: the link is up all the same, on both sides. */
static void test_no_event(void **state SH_UNUSED)
{
    need_air();
    wa.silent = wb.silent = true;
    listen_up();
    assert_int_equal(offers, 1);
    dial();
    assert_int_equal(dialled, 1);
}

/* A group that cannot be found is not removed by the name of another interface, and its mark stays until one finds it. */
static void test_group_not_found(void **state SH_UNUSED)
{
    need_air();
    static const uint8_t seed[32] = {1, 2, 3};
    wa.hidden = true;
    assert_ok(anchor->driver->listen(anchor, SH_BYTES(seed, sizeof(seed))));
    until(fake_count(&wa, "P2P_GROUP_ADD") == 1);
    settle();
    anchor->driver->free(anchor);
    settle();
    assert_int_equal(fake_count(&wa, "P2P_GROUP_REMOVE"), 0);
    assert_int_equal(fake_count(&wa, "REMOVE_NETWORK 4"), 1);
    assert_int_equal(marks(), 1);

    /* One that shows in the meantime is removed. */
    anchor = new_link(wa.dir, run_dir);
    wa.log_count = 0;
    assert_ok(anchor->driver->listen(anchor, SH_BYTES(seed, sizeof(seed))));
    until(fake_count(&wa, "P2P_GROUP_ADD") == 1);
    settle();
    fake_open(&wa, "p2p-a-0");
    anchor->driver->free(anchor);
    settle();
    assert_int_equal(fake_count(&wa, "P2P_GROUP_REMOVE p2p-a-0"), 1);
    assert_int_equal(marks(), 0);
    anchor = new_link(wa.dir, run_dir);
}

/* What could not be said at the end, its queue being full, is left to a sweep. */
static void test_unsaid(void **state SH_UNUSED)
{
    need_air();
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    snprintf(to.sun_path, sizeof(to.sun_path), "%s/p2p-dev-wlan0", wa.dir);
    listen_up();
    assert_int_equal(offers, 1);
    while (sendto(fd, "PING", 4, 0, (const struct sockaddr *)&to, sizeof(to)) >= 0) {
    }
    assert_int_equal(errno, EAGAIN);
    close(fd);
    anchor->driver->free(anchor);
    settle();
    assert_int_equal(fake_count(&wa, "P2P_GROUP_REMOVE"), 0);
    assert_int_equal(marks(), 1);
    show_group(SH_WIFI_P2P_GO);
    anchor = new_link(wa.dir, run_dir);
    offers = 0;
    listen_up();
    assert_int_equal(fake_count(&wa, "P2P_GROUP_REMOVE p2p-a-0"), 1);
    assert_int_equal(fake_count(&wa, "REMOVE_NETWORK 4"), 1);
}

/* It hangs over the command for a group, and makes that later: named in time, and what came is removed before the next try. */
static void test_hangs(void **state SH_UNUSED)
{
    need_air();
    wa.hangs = true;
    listen_up();
    assert_cause(loss_cause, SH_WIFI_NO_SUPPLICANT);
    assert_int_equal(marks(), 1);
    wa.hangs = wa.mute = false;
    fake_open(&wa, "p2p-a-0");
    show_group(SH_WIFI_P2P_GO);
    until(fake_count(&wa, "P2P_GROUP_REMOVE p2p-a-0") == 1);
    is_shown = false;
    assert_int_equal(fake_count(&wa, "P2P_GROUP_ADD"), 1);
    until(offers == 1);
    assert_int_equal(losses, 1);
    assert_int_equal(marks(), 1); /* its own */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_whole),        TEST(test_same_seed),        TEST(test_interface_gone),
        TEST(test_refused),      TEST(test_driver_fails),     TEST(test_wrong_key),
        TEST(test_full),         TEST(test_terminated),       TEST(test_no_supplicant),
        TEST(test_cancelled),    TEST(test_free_at_any_time), TEST(test_sweep),
        TEST(test_sweep_client), TEST(test_no_event),         TEST(test_group_not_found),
        TEST(test_hangs),        TEST(test_unsaid),           TEST(test_cancelled_late),
    };
    have_air = unshare(CLONE_NEWNET) == 0 && system("ip link set lo up") == 0 &&
               system("ip link add p2p-x-0 type veth peer name p2p-y-0 2>/dev/null && "
                      "ip link del p2p-x-0") == 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
