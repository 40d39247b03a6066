/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Messages as the kernel sends them, attribute by attribute. */
#include <linux/nl80211.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/msg.h>

#include "transfer/wifi_nl.h"
#include "unit/transfer/util.h"

static struct sh_wifi_radio radio;
static struct nl_msg *msg;

static int setup(void **state SH_UNUSED)
{
    memset(&radio, 0, sizeof(radio));
    msg = nlmsg_alloc_size(65536);
    return msg ? 0 : -1;
}

static int teardown(void **state SH_UNUSED)
{
    nlmsg_free(msg);
    return 0;
}

static struct sh_bytes attributes(void)
{
    return SH_BYTES(nlmsg_data(nlmsg_hdr(msg)), (size_t)nlmsg_datalen(nlmsg_hdr(msg)));
}

static void begin(void)
{
    nlmsg_free(msg);
    msg = nlmsg_alloc_size(65536);
    nlmsg_put(msg, 0, 0, NLMSG_DONE, 0, 0);
}

static void put_frequency(int number, uint32_t mhz, int flag)
{
    struct nlattr *nest = nla_nest_start(msg, number);
    nla_put_u32(msg, NL80211_FREQUENCY_ATTR_FREQ, mhz);
    if (flag)
        nla_put_flag(msg, flag);
    nla_nest_end(msg, nest);
}

static void put_types(int attribute, const int *types, size_t count)
{
    struct nlattr *nest = nla_nest_start(msg, attribute);
    for (size_t i = 0; i < count; i++)
        nla_put_flag(msg, types[i]);
    nla_nest_end(msg, nest);
}

static void put_limit(int number, uint32_t max, int type)
{
    struct nlattr *nest = nla_nest_start(msg, number);
    nla_put_u32(msg, NL80211_IFACE_LIMIT_MAX, max);
    put_types(NL80211_IFACE_LIMIT_TYPES, &type, 1);
    nla_nest_end(msg, nest);
}

static void put_combination(uint32_t total, unsigned limits)
{
    struct nlattr *list = nla_nest_start(msg, NL80211_ATTR_INTERFACE_COMBINATIONS);
    struct nlattr *one = nla_nest_start(msg, 1);
    struct nlattr *all = nla_nest_start(msg, NL80211_IFACE_COMB_LIMITS);
    for (unsigned i = 0; i < limits; i++)
        put_limit((int)i + 1, i + 1, i == 0 ? NL80211_IFTYPE_STATION : NL80211_IFTYPE_P2P_GO);
    nla_nest_end(msg, all);
    nla_put_u32(msg, NL80211_IFACE_COMB_MAXNUM, total);
    nla_put_u32(msg, NL80211_IFACE_COMB_NUM_CHANNELS, 1);
    nla_nest_end(msg, one);
    nla_nest_end(msg, list);
}

static void test_phy(void **state SH_UNUSED)
{
    static const int types[] = {NL80211_IFTYPE_STATION, NL80211_IFTYPE_P2P_GO};
    begin();
    nla_put_u32(msg, NL80211_ATTR_WIPHY, 3);
    nla_put_string(msg, NL80211_ATTR_WIPHY_NAME, "phy3");
    put_types(NL80211_ATTR_SUPPORTED_IFTYPES, types, 2);
    sh_wifi_nl_parse_phy(attributes(), &radio);
    /* The kernel splits what it says of a phy over many messages. */
    begin();
    nla_put_u32(msg, NL80211_ATTR_WIPHY, 3);
    struct nlattr *bands = nla_nest_start(msg, NL80211_ATTR_WIPHY_BANDS);
    struct nlattr *band = nla_nest_start(msg, NL80211_BAND_2GHZ);
    struct nlattr *list = nla_nest_start(msg, NL80211_BAND_ATTR_FREQS);
    put_frequency(0, 2412, 0);
    put_frequency(1, 2484, NL80211_FREQUENCY_ATTR_NO_IR);
    put_frequency(2, 903, 0); /* no band of ours */
    put_frequency(3, 5260, NL80211_FREQUENCY_ATTR_RADAR);
    put_frequency(4, 5885, NL80211_FREQUENCY_ATTR_DISABLED);
    nla_nest_end(msg, list);
    nla_nest_end(msg, band);
    nla_nest_end(msg, bands);
    sh_wifi_nl_parse_phy(attributes(), &radio);
    begin();
    nla_put_u32(msg, NL80211_ATTR_WIPHY, 3);
    put_combination(2048, 2);
    sh_wifi_nl_parse_phy(attributes(), &radio);
    assert_int_equal(radio.phy_count, 1);
    const struct sh_wifi_phy *phy = sh_wifi_phy(&radio, 3);
    assert_non_null(phy);
    assert_string_equal(phy->name, "phy3");
    assert_int_equal(phy->types, SH_WIFI_BIT(SH_WIFI_STATION) | SH_WIFI_BIT(SH_WIFI_P2P_GO));
    assert_int_equal(phy->frequency_count, 4);
    assert_true(sh_wifi_may_own(phy, 2412));
    assert_true(phy->frequencies[1].no_ir && phy->frequencies[2].radar);
    assert_true(phy->frequencies[3].disabled);
    assert_int_equal(phy->combination_count, 1);
    assert_int_equal(phy->combinations[0].total, 2048);
    assert_int_equal(phy->combinations[0].limit_count, 2);
    assert_int_equal(phy->combinations[0].limits[1].max, 2);
    assert_int_equal(phy->combinations[0].limits[1].types, SH_WIFI_BIT(SH_WIFI_P2P_GO));
}

static void put_iface(uint32_t phy, uint32_t ifindex, uint32_t type, const char *name)
{
    static const uint8_t address[6] = {2, 0, 0, 0, 1, 0};
    begin();
    nla_put_u32(msg, NL80211_ATTR_WIPHY, phy);
    nla_put_u32(msg, NL80211_ATTR_IFTYPE, type);
    nla_put(msg, NL80211_ATTR_MAC, 6, address);
    if (ifindex != 0) {
        nla_put_u32(msg, NL80211_ATTR_IFINDEX, ifindex);
        nla_put_string(msg, NL80211_ATTR_IFNAME, name);
    }
}

static void test_iface(void **state SH_UNUSED)
{
    put_iface(0, 5, NL80211_IFTYPE_P2P_GO, "p2p-wlan0-0");
    nla_put_u32(msg, NL80211_ATTR_WIPHY_FREQ, 2412);
    nla_put(msg, NL80211_ATTR_SSID, 9, "DIRECT-ab");
    sh_wifi_nl_parse_iface(attributes(), &radio);
    put_iface(0, 0, NL80211_IFTYPE_P2P_DEVICE, NULL);
    sh_wifi_nl_parse_iface(attributes(), &radio);
    assert_int_equal(radio.iface_count, 2);
    const struct sh_wifi_iface *iface = sh_wifi_iface_by_name(&radio, "p2p-wlan0-0");
    assert_non_null(iface);
    assert_ptr_equal(iface, sh_wifi_iface_by_index(&radio, 5));
    assert_int_equal(iface->mhz, 2412);
    assert_int_equal(iface->type, SH_WIFI_P2P_GO);
    assert_int_equal(iface->ssid_len, 9);
    assert_memory_equal(iface->ssid, "DIRECT-ab", 9);
    assert_int_equal(iface->address[4], 1);
    assert_int_equal(radio.ifaces[1].type, SH_WIFI_P2P_DEVICE);
    assert_null(sh_wifi_iface_by_name(&radio, ""));
    assert_null(sh_wifi_iface_by_index(&radio, 0));

    begin(); /* half an address makes it no interface */
    nla_put_u32(msg, NL80211_ATTR_WIPHY, 0);
    nla_put_u32(msg, NL80211_ATTR_IFTYPE, NL80211_IFTYPE_STATION);
    nla_put(msg, NL80211_ATTR_MAC, 5, "short");
    sh_wifi_nl_parse_iface(attributes(), &radio);
    assert_int_equal(radio.iface_count, 2);
}

static void test_country(void **state SH_UNUSED)
{
    begin();
    nla_put_string(msg, NL80211_ATTR_REG_ALPHA2, "DE");
    sh_wifi_nl_parse_country(attributes(), &radio);
    assert_string_equal(radio.country, "DE");
    begin();
    nla_put_string(msg, NL80211_ATTR_REG_ALPHA2, "\x1b[");
    sh_wifi_nl_parse_country(attributes(), &radio);
    assert_string_equal(radio.country, "??");
}

/* More than there is room for is passed over; a combination that cannot be read whole is none. */
static void test_too_many(void **state SH_UNUSED)
{
    for (uint32_t i = 0; i < 100; i++) {
        begin();
        nla_put_u32(msg, NL80211_ATTR_WIPHY, i);
        sh_wifi_nl_parse_phy(attributes(), &radio);
        put_iface(0, i + 1, NL80211_IFTYPE_STATION, "wlan0");
        sh_wifi_nl_parse_iface(attributes(), &radio);
    }
    assert_int_equal(radio.phy_count, SH_WIFI_PHYS);
    assert_int_equal(radio.iface_count, SH_WIFI_IFACES);
    begin();
    nla_put_u32(msg, NL80211_ATTR_WIPHY, 0);
    put_combination(3, SH_WIFI_LIMITS + 1);
    sh_wifi_nl_parse_phy(attributes(), &radio);
    assert_int_equal(radio.phys[0].combination_count, 0);
    for (unsigned i = 0; i < 2 * SH_WIFI_COMBINATIONS; i++) {
        begin();
        nla_put_u32(msg, NL80211_ATTR_WIPHY, 0);
        put_combination(3, SH_WIFI_LIMITS);
        sh_wifi_nl_parse_phy(attributes(), &radio);
    }
    assert_int_equal(radio.phys[0].combination_count, SH_WIFI_COMBINATIONS);
}

/* Cut at every octet, and with attributes of the wrong size. */
static void test_malformed(void **state SH_UNUSED)
{
    put_iface(0, 5, NL80211_IFTYPE_P2P_GO, "p2p-wlan0-0");
    put_combination(3, 2);
    struct sh_bytes whole = attributes();
    for (size_t n = 0; n < whole.n; n++) {
        uint8_t *copy = malloc(n > 0 ? n : 1);
        memcpy(copy, whole.p, n);
        sh_wifi_nl_parse_iface(SH_BYTES(copy, n), &radio);
        sh_wifi_nl_parse_phy(SH_BYTES(copy, n), &radio);
        sh_wifi_nl_parse_country(SH_BYTES(copy, n), &radio);
        free(copy);
    }
    memset(&radio, 0, sizeof(radio));
    begin();
    nla_put_u8(msg, NL80211_ATTR_WIPHY, 1);
    nla_put_u32(msg, NL80211_ATTR_IFTYPE, 2);
    sh_wifi_nl_parse_phy(attributes(), &radio);
    sh_wifi_nl_parse_iface(attributes(), &radio);
    assert_int_equal(radio.phy_count + radio.iface_count, 0);
}

/* Whatever this machine has: reading it does not fail but for one reason. */
static void test_this_machine(void **state SH_UNUSED)
{
    enum sh_cause cause = sh_wifi_nl_read(&radio);
    if (cause != SH_OK)
        assert_cause(cause, SH_WIFI_ABSENT);
}

/* What the kernel says becomes a cause that a person can use; another program that holds the interface above all. */
static void test_errors(void **state SH_UNUSED)
{
    assert_cause(sh_wifi_nl_cause(-NLE_BUSY, "an interface"), SH_WIFI_OWNED);
    assert_non_null(strstr(sh_detail(), "an interface: "));
    assert_cause(sh_wifi_nl_cause(-NLE_EXIST, "an interface"), SH_WIFI_OWNED);
    assert_cause(sh_wifi_nl_cause(-NLE_PERM, "an interface"), SH_WIFI_PERMISSION);
    assert_cause(sh_wifi_nl_cause(-NLE_NODEV, "an interface"), SH_WIFI_ABSENT);
    assert_cause(sh_wifi_nl_cause(-NLE_OPNOTSUPP, "an interface"), SH_WIFI_NO_P2P);
    assert_cause(sh_wifi_nl_cause(-NLE_RANGE, "an interface"), SH_ENV_RADIO_FAILED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_phy, setup, teardown),
        cmocka_unit_test_setup_teardown(test_iface, setup, teardown),
        cmocka_unit_test_setup_teardown(test_country, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_many, setup, teardown),
        cmocka_unit_test_setup_teardown(test_malformed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_this_machine, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
