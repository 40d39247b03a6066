/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What an end leaves of a Wi-Fi Direct group, and what sweeps it. */
#include "unit/transfer/wifi_pair.h"

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

/* Freed when so many of its commands were heard, the next one with them or on its way. false: it was up before. */
static bool free_behind(unsigned commands, bool heard)
{
    static const uint8_t seed[32] = {9};
    wa.log_count = 0;
    wa.is_deaf = !heard;
    wa.hears = commands;
    assert_ok(anchor->driver->listen(anchor, SH_BYTES(seed, sizeof(seed))));
    until(offers > 0 || (heard ? wa.log_count > commands : wa.unheard));
    bool was_up = offers > 0;
    anchor->driver->free(anchor);
    anchor = new_link(wa.dir, run_dir);
    wa.is_deaf = wa.unheard = false;
    settle();
    offers = 0;
    return !was_up;
}

/* Freed in the middle of everything: what was made is said to be removed, without waiting, and the next one comes up. */
static void test_free_at_any_time(void **state SH_UNUSED)
{
    need_air();
    unsigned commands = 0, left = 0;
    for (bool was_early = true; was_early; commands++) {
        for (unsigned heard = 0; heard < 2; heard++) {
            was_early = free_behind(commands, heard);
            /* One that was asked for and not heard of yet is the next one's to remove; so is one that was being swept. */
            assert_in_range(marks(), fake_socket(&wa, "p2p-a-0") ? 1 : 0, 1);
            left += fake_socket(&wa, "p2p-a-0") != NULL;
            show_group(SH_WIFI_P2P_GO);
            assert_false(wa.network && wa.ssid[0]); /* one without a name could be anybody's */
            listen_up();
            assert_int_equal(offers, 1);
            anchor->driver->free(anchor);
            anchor = new_link(wa.dir, run_dir);
            settle();
            assert_int_equal(marks(), 0);
            assert_null(fake_socket(&wa, "p2p-a-0"));
            offers = losses = 0;
        }
    }
    assert_in_range(commands, 8, 20);
    assert_int_equal(left, 1);
}

/* A process that was killed left its network and mark; the next one sweeps both before it begins. */
static void test_sweep(void **state SH_UNUSED)
{
    need_air();
    wa.network = true;
    snprintf(wa.ssid, sizeof(wa.ssid), "4449524543542d6162");
    int ready[2];
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid_t child = fork();
    if (child == 0) {
        struct sh_wifi_mark_text text = {.kind = SH_WPA_OWN, .iface = "p2p-a-0", .ssid_len = 9};
        struct sh_wifi_mark *mark = NULL;
        memcpy(text.ssid, "DIRECT-ab", 9);
        snprintf(text.control, sizeof(text.control), "%s/p2p-dev-wlan0", wa.dir);
        if (sh_wifi_mark_new(run_dir, &mark) == SH_OK && sh_wifi_mark_set(mark, &text) == SH_OK &&
            write(ready[1], "x", 1) == 1)
            pause();
        _exit(1);
    }
    char said = 0;
    close(ready[1]);
    assert_int_equal(read(ready[0], &said, 1), 1);
    close(ready[0]);
    /* While it lives its mark is its own. */
    listen_up();
    assert_int_equal(fake_count(&wa, "REMOVE_NETWORK"), 0);
    anchor->driver->free(anchor);
    settle();
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
    assert_int_equal(fake_count(&wa, "P2P_GROUP_ADD"), 1);
    until(offers == 1);
    assert_int_equal(losses, 1);
    assert_int_equal(marks(), 1); /* its own */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_cancelled_late), TEST(test_free_at_any_time), TEST(test_sweep),
        TEST(test_sweep_client),   TEST(test_group_not_found),  TEST(test_unsaid),
        TEST(test_hangs),
    };
    return run_pair(tests, SH_COUNT(tests));
}
