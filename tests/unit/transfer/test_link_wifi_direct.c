/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The Wi-Fi Direct link: a group is made, joined, used, lost and named. */
#include "transfer/netif.h"
#include "unit/transfer/wifi_pair.h"

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

/* Its daemon says so while the interface is still there: the other end is not to hear that we ended the connection. */
static void test_group_removed(void **state SH_UNUSED)
{
    need_air();
    listen_up();
    dial();
    until(accepted > 0);
    sh_ms from = sh_now();
    fake_tell(&wa, "p2p-dev-wlan0", "<3>P2P-GROUP-REMOVED p2p-a-0 GO reason=UNAVAILABLE");
    until(losses == 1 && closed > 0);
    assert_int_equal(closed, 1);
    sh_stream_close(streams[0]);
    streams[0] = NULL;
    until(closed == 2);
    assert_true(sh_now() - from >=
                300); /* but it does not wait for ever where its own interface says nothing */
}

/* A stick that is pulled takes the group with it, and is what is said. */
static void test_station_gone(void **state SH_UNUSED)
{
    need_air();
    /* The group's interface is younger than the station's. */
    assert_int_equal(system("ip link del p2p-a-0 && ip link add w-0 type veth peer name w-1 && "
                            "ip link add p2p-a-0 type veth peer name p2p-b-0 && "
                            "ip link set p2p-a-0 up && ip link set p2p-b-0 up"),
                     0);
    station_ifindex = if_nametoindex("w-0");
    listen_up();
    assert_int_equal(offers, 1);
    assert_int_equal(system("ip link del w-0 && ip link del p2p-a-0"), 0);
    until(losses == 1);
    assert_cause(loss_cause, SH_WIFI_GONE);
    assert_string_equal(sh_detail(), "wlan0");
}

static void begin_to_join(void)
{
    struct sh_attempt attempt = {.id = 7, .address_len = 16, .port = 1, .group = group};
    wb.searches = true;
    assert_ok(secondary->driver->dial(secondary, &attempt));
    until(fake_count(&wb, "P2P_GROUP_ADD") == 1);
    settle();
    assert_int_equal(failed, 0);
}

/* While it joins, by whatever it joins: that is told by the kernel, and is the cause, not that the time is up. */
static void test_joining_gone(void **state SH_UNUSED)
{
    need_air();
    listen_up();
    begin_to_join();
    assert_int_equal(system("ip link set p2p-b-0 down && ip link set p2p-b-0 up"), 0);
    settle(); /* wpa_supplicant does so, too */
    assert_int_equal(failed, 0);
    assert_int_equal(system("ip link del p2p-b-0"), 0);
    settle(); /* it is not waited for anything */
    assert_int_equal(failed, 1);
    assert_cause(failed_cause, SH_WIFI_GONE);
    assert_string_equal(failed_detail, "p2p-b-0");
    assert_int_equal(dialled, 0);
}

/* A group that wpa_supplicant gave up goes with its interface; it has said why. */
static void test_joining_given_up(void **state SH_UNUSED)
{
    need_air();
    listen_up();
    begin_to_join();
    assert_int_equal(system("ip link del p2p-b-0"), 0);
    fake_tell(&wb, "p2p-b-0",
              "<3>CTRL-EVENT-SSID-TEMP-DISABLED id=0 ssid=\"x\" auth_failures=1 reason=WRONG_KEY");
    until(failed == 1);
    assert_cause(failed_cause, SH_WIFI_WRONG_KEY);
}

/* The stick is pulled while it joins; then there is no other to try. */
static void test_joining_station_gone(void **state SH_UNUSED)
{
    need_air();
    assert_int_equal(system("ip link del p2p-a-0 && ip link add w-0 type veth peer name w-1 && "
                            "ip link add p2p-a-0 type veth peer name p2p-b-0 && "
                            "ip link set p2p-a-0 up && ip link set p2p-b-0 up"),
                     0);
    station_ifindex = if_nametoindex("w-0");
    listen_up();
    begin_to_join();
    is_pulled = true;
    assert_int_equal(system("ip link del w-0"), 0);
    settle(); /* it is not waited for anything */
    assert_int_equal(failed, 1);
    assert_cause(failed_cause, SH_WIFI_GONE);
    assert_string_equal(failed_detail, "wlan0");
}

static void on_removal(void *user)
{
    ++*(unsigned *)user;
}

/* Also of what went before anybody watched. */
static void test_watch_removal(void **state SH_UNUSED)
{
    struct sh_netif_watch *watch = NULL, *late = NULL;
    unsigned removed = 0, removed_before = 0;
    need_air();
    uint32_t ifindex = if_nametoindex("p2p-b-0");
    assert_ok(sh_netif_watch_removal(base, ifindex, on_removal, &removed, &watch));
    assert_int_equal(system("ip link set p2p-b-0 down"), 0);
    settle();
    assert_int_equal(removed, 0);
    assert_int_equal(system("ip link del p2p-b-0"), 0);
    until(removed == 1);
    assert_ok(sh_netif_watch_removal(base, ifindex, on_removal, &removed_before, &late));
    until(removed_before == 1);
    settle();
    assert_int_equal(removed + removed_before, 2);
    sh_netif_watch_free(watch);
    sh_netif_watch_free(late);
}

/* The group's interface takes none of the two kinds of addresses: here because it went in between. */
static void test_no_address(void **state SH_UNUSED)
{
    struct sh_tcp_address addresses[2];
    enum sh_cause cause = SH_OK;
    need_air();
    assert_int_equal(sh_netif_add_addresses("p2p-z-0", 9999, addresses, &cause), 0);
    assert_cause(cause, SH_WIFI_NO_ADDRESS);
    assert_string_equal(sh_detail(), "net.ipv6.conf.p2p-z-0.disable_ipv6, and no IPv4");
}

static void test_iwd(void **state SH_UNUSED)
{
    struct sh_wifi *wifi = (struct sh_wifi *)anchor;
    need_air();
    fake_free(&wa);
    wifi->asked = wifi->iwd = true; /* as the message bus says where it holds the radio */
    listen_up();
    assert_cause(loss_cause, SH_WIFI_IWD);
}

static bool may_take(void *user SH_UNUSED)
{
    return true;
}

/* The one way in that is left would take the interface from its network. */
static void test_not_taken_unasked(void **state SH_UNUSED)
{
    need_air();
    listen_up();
    is_station_only = true;
    dial();
    assert_int_equal(failed, 1);
    assert_cause(failed_cause, SH_WIFI_NO_P2P);
    assert_int_equal(fake_count(&wb, "ADD_NETWORK"), 0);
    ((struct sh_wifi *)secondary)->may_take_station = may_take;
    failed = 0;
    dial();
    assert_int_equal(fake_count(&wb, "ADD_NETWORK"), 1);
    until(fake_count(&wb, "REMOVE_NETWORK 4") >
          0); /* the last word, also of one that came to nothing */
    settle();
}

static void test_refused(void **state SH_UNUSED)
{
    need_air();
    wa.fail = "P2P_GROUP_ADD";
    listen_up();
    assert_int_equal(offers, 0);
    assert_cause(loss_cause, SH_WIFI_GROUP_FAILED);
    assert_int_equal(fake_count(&wa, "REMOVE_NETWORK 4"), 0);
    until(fake_count(&wa, "REMOVE_NETWORK 4") == 1);
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

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_whole),
        TEST(test_same_seed),
        TEST(test_interface_gone),
        TEST(test_refused),
        TEST(test_driver_fails),
        TEST(test_wrong_key),
        TEST(test_full),
        TEST(test_terminated),
        TEST(test_no_supplicant),
        TEST(test_cancelled),
        TEST(test_no_event),
        TEST(test_station_gone),
        TEST(test_group_removed),
        TEST(test_joining_gone),
        TEST(test_joining_given_up),
        TEST(test_joining_station_gone),
        TEST(test_watch_removal),
        TEST(test_no_address),
        TEST(test_iwd),
        TEST(test_not_taken_unasked),
    };
    return run_pair(tests, SH_COUNT(tests));
}
