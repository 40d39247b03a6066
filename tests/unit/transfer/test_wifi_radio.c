/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Radios as there are some, judged: what may stand beside the station link, and where. */
#include "transfer/wifi_radio.h"
#include "unit/transfer/util.h"

#define STA    SH_WIFI_BIT(SH_WIFI_STATION)
#define AP     SH_WIFI_BIT(SH_WIFI_AP)
#define CLIENT SH_WIFI_BIT(SH_WIFI_P2P_CLIENT)
#define GO     SH_WIFI_BIT(SH_WIFI_P2P_GO)
#define DEVICE SH_WIFI_BIT(SH_WIFI_P2P_DEVICE)

/* A laptop's: one station, one of P2P, a P2P device, two channels; as iwlwifi says. */
static struct sh_wifi_radio laptop(void)
{
    return (struct sh_wifi_radio){
        .phy_count = 1,
        .phys = {{.index = 0,
                  .name = "phy0",
                  .types = STA | AP | CLIENT | GO | DEVICE,
                  .frequency_count = 7,
                  .frequencies = {{.mhz = 2412},
                                  {.mhz = 2437},
                                  {.mhz = 2462},
                                  {.mhz = 2472, .no_ir = true},
                                  {.mhz = 5180},
                                  {.mhz = 5260, .radar = true},
                                  {.mhz = 5500, .no_ir = true, .radar = true}},
                  .combination_count = 1,
                  .combinations = {{.total = 3,
                                    .channels = 2,
                                    .limit_count = 3,
                                    .limits = {{.types = STA, .max = 1},
                                               {.types = AP | CLIENT | GO, .max = 1},
                                               {.types = DEVICE, .max = 1}}}}}},
        .iface_count = 2,
        .ifaces = {{.ifindex = 2, .name = "wlan0", .type = SH_WIFI_STATION, .up = true},
                   {.ifindex = 0, .type = SH_WIFI_P2P_DEVICE}},
        .country = "DE"};
}

static uint32_t group_mhz(const struct sh_wifi_radio *radio)
{
    uint32_t mhz = 0;
    assert_ok(sh_wifi_group_frequency(radio, &radio->ifaces[0], &mhz));
    return mhz;
}

static void test_frequency(void **state SH_UNUSED)
{
    struct sh_wifi_radio r = laptop();
    assert_int_equal(group_mhz(&r), 2412); /* not connected */
    r.ifaces[0].mhz = 2437;
    assert_int_equal(group_mhz(&r), 2437); /* its own channel */
    r.ifaces[0].mhz = 5180;
    assert_int_equal(group_mhz(&r), 5180);
    r.ifaces[0].mhz = 5260; /* no group on a radar channel, but there is a second channel */
    assert_int_equal(group_mhz(&r), 2412);
    r.ifaces[0].mhz = 0;
    r.phys[0].frequencies[0].disabled = true;
    assert_int_equal(group_mhz(&r), 2437);
    r.phys[0].frequencies[1].no_ir = r.phys[0].frequencies[2].no_ir = true;
    assert_int_equal(group_mhz(&r), 5180); /* nothing else is left */
}

static void test_one_channel(void **state SH_UNUSED)
{
    struct sh_wifi_radio r = laptop();
    uint32_t mhz = 0;
    r.phys[0].combinations[0].channels = 1;
    r.ifaces[0].mhz = 2437;
    assert_int_equal(group_mhz(&r), 2437);
    r.ifaces[0].mhz = 5260;
    assert_cause(sh_wifi_group_frequency(&r, &r.ifaces[0], &mhz), SH_WIFI_CHANNEL_CONFLICT);
    r.ifaces[0].mhz = 0;
    assert_int_equal(group_mhz(&r), 2412);
    assert_int_equal(mhz, 0); /* untouched on failure */
}

static void test_no_group(void **state SH_UNUSED)
{
    struct sh_wifi_radio r = laptop();
    uint32_t mhz = 0;
    for (size_t i = 0; i < r.phys[0].frequency_count; i++)
        r.phys[0].frequencies[i].no_ir = true;
    assert_cause(sh_wifi_group_frequency(&r, &r.ifaces[0], &mhz), SH_WIFI_REGULATORY);
    r = laptop();
    r.phys[0].types &= ~GO;
    assert_cause(sh_wifi_group_frequency(&r, &r.ifaces[0], &mhz), SH_WIFI_NO_P2P);
    r = laptop();
    r.phys[0].combination_count = 0; /* a radio with one interface at a time */
    assert_cause(sh_wifi_group_frequency(&r, &r.ifaces[0], &mhz), SH_WIFI_NO_P2P);
    r.ifaces[0].up = false;
    r.iface_count = 1;
    assert_int_equal(group_mhz(&r), 2412);
    r = laptop(); /* an access point runs already */
    r.ifaces[r.iface_count++] = (struct sh_wifi_iface){
        .ifindex = 3, .name = "ap0", .type = SH_WIFI_AP, .mhz = 2412, .up = true};
    assert_cause(sh_wifi_group_frequency(&r, &r.ifaces[0], &mhz), SH_WIFI_NO_P2P);
    r.ifaces[0].phy = 5;
    assert_cause(sh_wifi_group_frequency(&r, &r.ifaces[0], &mhz), SH_WIFI_ABSENT);
}

/* What shares a limit shares what it allows. */
static void test_shared_limit(void **state SH_UNUSED)
{
    struct sh_wifi_radio r = laptop();
    uint32_t mhz = 0;
    r.phys[0].combinations[0].total = 4;
    r.ifaces[r.iface_count++] =
        (struct sh_wifi_iface){.ifindex = 3, .type = SH_WIFI_P2P_CLIENT, .up = true};
    assert_cause(sh_wifi_group_frequency(&r, &r.ifaces[0], &mhz), SH_WIFI_NO_P2P);
    r.phys[0].combinations[0].limits[1].max = 2;
    assert_int_equal(group_mhz(&r), 2412);
}

static void test_join(void **state SH_UNUSED)
{
    struct sh_wifi_radio r = laptop();
    const struct sh_wifi_iface *s = &r.ifaces[0];
    /* One station only, but a P2P client beside it. */
    assert_cause(sh_wifi_can_join(&r, s, SH_WIFI_WAY_SECOND, 2412), SH_WIFI_NO_P2P);
    assert_ok(sh_wifi_can_join(&r, s, SH_WIFI_WAY_CLIENT, 2412));
    assert_ok(sh_wifi_can_join(&r, s, SH_WIFI_WAY_STATION, 2412));
    assert_cause(sh_wifi_can_join(&r, s, SH_WIFI_WAY_CLIENT, 5955), SH_WIFI_REGULATORY);
    r.phys[0].frequencies[0].disabled = true;
    assert_cause(sh_wifi_can_join(&r, s, SH_WIFI_WAY_CLIENT, 2412), SH_WIFI_REGULATORY);
    /* Joining where only others may begin is allowed. */
    assert_ok(sh_wifi_can_join(&r, s, SH_WIFI_WAY_CLIENT, 2472));
    r.phys[0].combinations[0].channels = 1;
    r.ifaces[0].mhz = 5180;
    assert_cause(sh_wifi_can_join(&r, s, SH_WIFI_WAY_CLIENT, 2437), SH_WIFI_CHANNEL_CONFLICT);
    assert_ok(sh_wifi_can_join(&r, s, SH_WIFI_WAY_CLIENT, 5180));
    /* The station itself leaves its channel. */
    assert_ok(sh_wifi_can_join(&r, s, SH_WIFI_WAY_STATION, 2437));
    r.phys[0].combinations[0].limits[0].max = 2;
    r.phys[0].combinations[0].total = 4;
    assert_ok(sh_wifi_can_join(&r, s, SH_WIFI_WAY_SECOND, 5180));
    assert_cause(sh_wifi_can_join(&r, s, SH_WIFI_WAY_SECOND, 2437), SH_WIFI_CHANNEL_CONFLICT);
    r.phys[0].types &= ~CLIENT;
    assert_cause(sh_wifi_can_join(&r, s, SH_WIFI_WAY_CLIENT, 5180), SH_WIFI_NO_P2P);
}

static void test_station(void **state SH_UNUSED)
{
    struct sh_wifi_radio r = laptop();
    const struct sh_wifi_iface *s = NULL;
    r.phys[r.phy_count++] = (struct sh_wifi_phy){.index = 1, .name = "phy1", .types = STA};
    r.ifaces[2] = r.ifaces[0];
    r.ifaces[0] =
        (struct sh_wifi_iface){.ifindex = 9, .name = "hop0", .type = SH_WIFI_STATION, .up = true};
    r.ifaces[3] = (struct sh_wifi_iface){
        .ifindex = 4, .phy = 1, .name = "usb0", .type = SH_WIFI_STATION, .up = true};
    r.iface_count = 4;
    r.ifaces[2].up = false;
    assert_ok(sh_wifi_station(&r, NULL, &s));
    assert_string_equal(s->name, "wlan0"); /* it can, though it is down */
    assert_ok(sh_wifi_station(&r, "usb0", &s));
    assert_string_equal(s->name, "usb0");
    assert_cause(sh_wifi_station(&r, "nosuch", &s), SH_WIFI_ABSENT);
    r.iface_count = 2;
    assert_cause(sh_wifi_station(&r, NULL, &s), SH_WIFI_ABSENT); /* our own does not count */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frequency), cmocka_unit_test(test_one_channel),
        cmocka_unit_test(test_no_group),  cmocka_unit_test(test_shared_limit),
        cmocka_unit_test(test_join),      cmocka_unit_test(test_station),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
