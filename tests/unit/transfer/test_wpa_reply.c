/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Replies and events as wpa_supplicant 2.10 wrote them on a machine with two radios. */
#include "transfer/wpa_reply.h"
#include "unit/transfer/util.h"

#define TEXT(literal) SH_BYTES(literal, sizeof(literal) - 1)

static const char status[] = "bssid=46:00:00:00:00:00\nfreq=2437\nssid=DIRECT-ab-TESTTEST\nid=0\n"
                             "mode=P2P GO\nwpa_state=COMPLETED\n"
                             "p2p_device_address=42:00:00:00:00:00\naddress=46:00:00:00:00:00\n";

/* A key is a whole word; a value that does not fit is none. */
static void test_keys(void **state SH_UNUSED)
{
    char out[8] = "before";
    struct sh_bytes reply = TEXT("statex=1\nkeys\nstate=1234567\nlong=12345678\n");
    assert_false(sh_wpa_value(reply, "key", out, sizeof(out)));
    assert_false(sh_wpa_value(reply, "long", out, sizeof(out)));
    assert_string_equal(out, "before");
    assert_true(sh_wpa_value(reply, "state", out, sizeof(out)));
    assert_string_equal(out, "1234567");
}

static void test_replies(void **state SH_UNUSED)
{
    unsigned number = 7;
    assert_true(sh_wpa_is_ok(TEXT("OK\n")));
    assert_true(sh_wpa_is_ok(TEXT("OK")));
    assert_false(sh_wpa_is_ok(TEXT("FAIL\n")));
    assert_false(sh_wpa_is_ok(TEXT("OKOK\n")));
    assert_false(sh_wpa_is_ok(TEXT("")));
    assert_true(sh_wpa_number(TEXT("12\n"), &number));
    assert_int_equal(number, 12);
    assert_false(sh_wpa_number(TEXT("FAIL\n"), &number));
    assert_false(sh_wpa_number(TEXT("1x\n"), &number));
    assert_false(sh_wpa_number(TEXT("4294967296\n"), &number));
    assert_false(sh_wpa_number(TEXT("\n"), &number));
    assert_int_equal(number, 12);
}

static void test_values(void **state SH_UNUSED)
{
    char value[18];
    uint8_t address[6];
    assert_true(sh_wpa_value(TEXT(status), "p2p_device_address", value, sizeof(value)));
    assert_string_equal(value, "42:00:00:00:00:00");
    assert_true(sh_wpa_address(value, address));
    assert_int_equal(address[0], 0x42);
    /* Not the one that only ends so. */
    assert_true(sh_wpa_value(TEXT(status), "address", value, sizeof(value)));
    assert_string_equal(value, "46:00:00:00:00:00");
    assert_false(sh_wpa_value(TEXT(status), "addres", value, sizeof(value)));
    assert_false(sh_wpa_value(TEXT(status), "ssid", value, 4));
    assert_false(sh_wpa_value(TEXT("ssid=a\0b\n"), "ssid", value, sizeof(value)));
    assert_false(sh_wpa_address("42:00:00:00:00:0", address));
    assert_false(sh_wpa_address("42:00:00:00:00:0g", address));
    assert_false(sh_wpa_address("42-00-00-00-00-00", address));
}

static void test_networks(void **state SH_UNUSED)
{
    static const char list[] = "network id / ssid / bssid / flags\n"
                               "0\thome\tany\t[CURRENT]\n"
                               "1\tDIRECT-ab-TESTTEST\tany\t[DISABLED][P2P-PERSISTENT]\n"
                               "2\toffice\tany\t[DISABLED]\n"
                               "3\tDIRECT-ab-TESTTEST\t42:00:00:00:00:00\t[P2P-PERSISTENT]\n"
                               "4\tcafe\tany\t\n";
    struct sh_wpa_network out[SH_WPA_NETWORKS];
    assert_int_equal(sh_wpa_networks(TEXT(list), TEXT("DIRECT-ab-TESTTEST"), out), 5);
    assert_true(out[0].ours && out[0].id == 1 && !out[0].enabled);
    assert_true(out[1].ours && out[1].id == 3 && !out[1].enabled);
    assert_true(!out[2].ours && out[2].id == 0 && out[2].enabled && out[2].current);
    assert_true(!out[3].ours && out[3].id == 2 && !out[3].enabled);
    assert_true(!out[4].ours && out[4].id == 4 && out[4].enabled && !out[4].current);
    /* No name is nobody's. */
    assert_int_equal(sh_wpa_networks(TEXT("0\t\tany\t\n"), SH_BYTES(NULL, 0), out), 1);
    assert_false(out[0].ours);
}

static void test_many_networks(void **state SH_UNUSED)
{
    static char list[SH_WPA_DATAGRAM];
    struct sh_wpa_network out[SH_WPA_NETWORKS];
    size_t n = 0;
    for (unsigned i = 0; i < 200; i++)
        n += (size_t)snprintf(list + n, sizeof(list) - n, "%u\tnet%u\tany\t\n", i, i);
    /* Ours is the last of two hundred, and still the first that is told. */
    assert_int_equal(sh_wpa_networks(SH_BYTES(list, n), TEXT("net199"), out), SH_WPA_NETWORKS);
    assert_true(out[0].ours && out[0].id == 199);
    assert_false(out[1].ours);
}

static struct sh_wpa_event parsed(struct sh_bytes datagram)
{
    struct sh_wpa_event event;
    assert_true(sh_wpa_is_event(datagram));
    assert_true(sh_wpa_event_parse(datagram, &event));
    return event;
}

static void test_group_events(void **state SH_UNUSED)
{
    struct sh_wpa_event e =
        parsed(TEXT("<3>P2P-GROUP-STARTED p2p-wlan0-0 GO ssid=\"DIRECT-ab-TESTTEST\" freq=2412 "
                    "passphrase=\"passphrase123\" go_dev_addr=42:00:00:00:00:00 [PERSISTENT]"));
    assert_int_equal(e.kind, SH_WPA_GROUP_STARTED);
    assert_string_equal(e.iface, "p2p-wlan0-0");
    assert_string_equal(e.ssid, "DIRECT-ab-TESTTEST");
    assert_true(e.owner);
    e = parsed(TEXT("IFNAME=p2p-dev-wlan1 <3>P2P-GROUP-STARTED p2p-wlan1-0 client "
                    "ssid=\"DIRECT-ab-TESTTEST\" freq=2412 psk=00 go_dev_addr=42:00:00:00:00:00"));
    assert_int_equal(e.kind, SH_WPA_GROUP_STARTED);
    assert_false(e.owner);
    e = parsed(TEXT("<3>P2P-GROUP-REMOVED p2p-wlan0-0 GO reason=REQUESTED"));
    assert_int_equal(e.kind, SH_WPA_GROUP_REMOVED);
    assert_string_equal(e.iface, "p2p-wlan0-0");
    assert_string_equal(e.reason, "REQUESTED");
    assert_int_equal(parsed(TEXT("<3>P2P-GROUP-FORMATION-FAILURE ")).kind,
                     SH_WPA_GROUP_FORMATION_FAILURE);
    assert_int_equal(parsed(TEXT("<3>P2P-GROUP-FORMATION-FAILURE")).kind,
                     SH_WPA_GROUP_FORMATION_FAILURE);
    assert_int_equal(parsed(TEXT("<3>P2P-GO-NEG-FAILURE status=7")).kind, SH_WPA_GO_NEG_FAILURE);
}

static void test_station_events(void **state SH_UNUSED)
{
    struct sh_wpa_event e =
        parsed(TEXT("<3>CTRL-EVENT-SSID-TEMP-DISABLED id=0 ssid=\"DIRECT-ab reason=FOO\" "
                    "auth_failures=1 duration=10 reason=WRONG_KEY"));
    assert_int_equal(e.kind, SH_WPA_TEMP_DISABLED);
    assert_string_equal(e.reason, "WRONG_KEY"); /* not what a name holds */
    e = parsed(TEXT("<3>CTRL-EVENT-ASSOC-REJECT bssid=46:00:00:00:00:00 status_code=17"));
    assert_int_equal(e.kind, SH_WPA_ASSOC_REJECT);
    assert_int_equal(e.status, 17);
    e = parsed(TEXT("<3>CTRL-EVENT-AUTH-REJECT 46:00:00:00:00:00 auth_type=0 auth_transaction=2 "
                    "status_code=13"));
    assert_int_equal(e.kind, SH_WPA_AUTH_REJECT);
    assert_int_equal(e.status, 13);
    e = parsed(TEXT("<3>CTRL-EVENT-DISCONNECTED bssid=46:00:00:00:00:00 reason=3 "
                    "locally_generated=1"));
    assert_int_equal(e.kind, SH_WPA_DISCONNECTED);
    assert_string_equal(e.reason, "3");
    assert_int_equal(parsed(TEXT("<3>CTRL-EVENT-CONNECTED - Connection to 46:00:00:00:00:00 "
                                 "completed [id=0 id_str=]"))
                         .kind,
                     SH_WPA_CONNECTED);
    assert_int_equal(parsed(TEXT("<3>CTRL-EVENT-NETWORK-NOT-FOUND ")).kind,
                     SH_WPA_NETWORK_NOT_FOUND);
    assert_int_equal(parsed(TEXT("<3>CTRL-EVENT-TERMINATING ")).kind, SH_WPA_TERMINATING);
    assert_int_equal(parsed(TEXT("<3>AP-DISABLED ")).kind, SH_WPA_AP_DISABLED);
    assert_int_equal(parsed(TEXT("<4>Failed to set beacon parameters")).kind, SH_WPA_BEACON_FAILED);
    assert_int_equal(parsed(TEXT("<3>AP-STA-POSSIBLE-PSK-MISMATCH 02:00:00:00:01:00")).kind,
                     SH_WPA_PSK_MISMATCH);
    assert_int_equal(parsed(TEXT("<3>CTRL-EVENT-CONNECTEDX")).kind, SH_WPA_OTHER);
    assert_int_equal(parsed(TEXT("<3>")).kind, SH_WPA_OTHER);
}

static void test_no_events(void **state SH_UNUSED)
{
    static const char *const replies[] = {
        "",         "<",    "<>",      "<3",           "<x>",
        "<33333>a", "OK\n", "IFNAME=", "IFNAME=wlan0", "IFNAME=wlan0 OK\n",
        "bssid=<3>"};
    struct sh_wpa_event event;
    for (size_t i = 0; i < SH_COUNT(replies); i++)
        assert_false(sh_wpa_event_parse(SH_BYTES(replies[i], strlen(replies[i])), &event));
}

/* Cut anywhere nothing is read behind the end, and the name of an interface is whole or not there. */
static void test_cut(void **state SH_UNUSED)
{
    static const char whole[] = "<3>P2P-GROUP-STARTED p2p-wlan0-0 GO ssid=\"DIRECT-ab-TESTTEST\" "
                                "freq=2412 passphrase=\"passphrase123\"";
    for (size_t n = 0; n < sizeof(whole) - 1; n++) {
        uint8_t *copy = malloc(n > 0 ? n : 1);
        struct sh_wpa_event event;
        memcpy(copy, whole, n);
        if (sh_wpa_event_parse(SH_BYTES(copy, n), &event) && event.kind == SH_WPA_GROUP_STARTED)
            assert_true(strlen(event.iface) <= strlen("p2p-wlan0-0"));
        free(copy);
    }
}

static void test_huge_and_binary(void **state SH_UNUSED)
{
    static uint8_t huge[65536];
    struct sh_wpa_event event;
    struct sh_wpa_network out[SH_WPA_NETWORKS];
    char value[18];
    memset(huge, 'a', sizeof(huge));
    memcpy(huge, "<3>P2P-GROUP-STARTED ", 21);
    assert_true(sh_wpa_event_parse(SH_BYTES(huge, sizeof(huge)), &event));
    assert_string_equal(event.iface, ""); /* longer than an interface's name */
    for (size_t i = 0; i < sizeof(huge); i++)
        huge[i] = (uint8_t)(i * 167 + i / 251);
    for (size_t i = 0; i < 256; i++) {
        (void)sh_wpa_event_parse(SH_BYTES(huge + i, sizeof(huge) - i), &event);
        (void)sh_wpa_networks(SH_BYTES(huge + i, sizeof(huge) - i), TEXT("a"), out);
        (void)sh_wpa_value(SH_BYTES(huge + i, sizeof(huge) - i), "a", value, sizeof(value));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replies),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_networks),
        cmocka_unit_test(test_many_networks),
        cmocka_unit_test(test_group_events),
        cmocka_unit_test(test_station_events),
        cmocka_unit_test(test_no_events),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_huge_and_binary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
