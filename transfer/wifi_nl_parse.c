/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <linux/nl80211.h>
#include <netlink/attr.h>
#include <string.h>

#include "transfer/wifi_nl.h"

/* 2.4, 5 and 6 GHz; the bands of 900 MHz and 60 GHz have no groups and many channels. */
#define MHZ_MIN 2400
#define MHZ_MAX 7125

/* libnl reads by pointers that are not const, and changes nothing. */
static struct nlattr *first_attr(struct sh_bytes attributes)
{
    union {
        const uint8_t *from;
        struct nlattr *to;
    } p = {.from = attributes.p};
    return p.to;
}

/* An attribute's length has 16 bits, a message's attributes are capped far below that of int. */
static bool parse(struct nlattr **table, int max, struct sh_bytes attributes,
                  const struct nla_policy *policy)
{
    return attributes.n <= INT32_MAX &&
           nla_parse(table, max, first_attr(attributes), (int)attributes.n, policy) == 0;
}

static void copy_name(char out[SH_WIFI_NAME], const struct nlattr *attribute)
{
    size_t n = SH_MIN((size_t)nla_len(attribute), (size_t)SH_WIFI_NAME - 1);
    memcpy(out, nla_data(attribute), n);
    memset(out + n, 0, SH_WIFI_NAME - n);
}

/* A nest of flags, whose numbers are the set. */
static uint32_t types_of(const struct nlattr *nest)
{
    uint32_t types = 0;
    struct nlattr *at;
    int left;
    nla_for_each_nested(at, nest, left)
    {
        if (nla_type(at) < SH_WIFI_TYPES)
            types |= SH_WIFI_BIT((unsigned)nla_type(at));
    }
    return types;
}

/* ---- Frequencies ---- */

static void take_frequency(struct nlattr *nest, struct sh_wifi_phy *phy)
{
    static const struct nla_policy policy[NL80211_FREQUENCY_ATTR_MAX + 1] = {
        [NL80211_FREQUENCY_ATTR_FREQ] = {.type = NLA_U32},
    };
    struct nlattr *table[NL80211_FREQUENCY_ATTR_MAX + 1];
    if (nla_parse_nested(table, NL80211_FREQUENCY_ATTR_MAX, nest, policy) < 0 ||
        !table[NL80211_FREQUENCY_ATTR_FREQ])
        return;
    uint32_t mhz = nla_get_u32(table[NL80211_FREQUENCY_ATTR_FREQ]);
    if (mhz < MHZ_MIN || mhz > MHZ_MAX || phy->frequency_count == SH_WIFI_FREQUENCIES)
        return;
    phy->frequencies[phy->frequency_count++] =
        (struct sh_wifi_frequency){.mhz = (uint16_t)mhz,
                                   .disabled = table[NL80211_FREQUENCY_ATTR_DISABLED] != NULL,
                                   .no_ir = table[NL80211_FREQUENCY_ATTR_NO_IR] != NULL,
                                   .radar = table[NL80211_FREQUENCY_ATTR_RADAR] != NULL};
}

static void take_bands(const struct nlattr *bands, struct sh_wifi_phy *phy)
{
    static const struct nla_policy policy[NL80211_BAND_ATTR_MAX + 1] = {
        [NL80211_BAND_ATTR_FREQS] = {.type = NLA_NESTED},
    };
    struct nlattr *table[NL80211_BAND_ATTR_MAX + 1];
    struct nlattr *band, *at;
    int left, left_in;
    nla_for_each_nested(band, bands, left)
    {
        if (nla_parse_nested(table, NL80211_BAND_ATTR_MAX, band, policy) < 0 ||
            !table[NL80211_BAND_ATTR_FREQS])
            continue;
        nla_for_each_nested(at, table[NL80211_BAND_ATTR_FREQS], left_in) take_frequency(at, phy);
    }
}

/* ---- Interface combinations ---- */

static bool take_limit(struct nlattr *nest, struct sh_wifi_combination *combination)
{
    static const struct nla_policy policy[MAX_NL80211_IFACE_LIMIT + 1] = {
        [NL80211_IFACE_LIMIT_MAX] = {.type = NLA_U32},
        [NL80211_IFACE_LIMIT_TYPES] = {.type = NLA_NESTED},
    };
    struct nlattr *table[MAX_NL80211_IFACE_LIMIT + 1];
    if (combination->limit_count == SH_WIFI_LIMITS ||
        nla_parse_nested(table, MAX_NL80211_IFACE_LIMIT, nest, policy) < 0 ||
        !table[NL80211_IFACE_LIMIT_MAX] || !table[NL80211_IFACE_LIMIT_TYPES])
        return false;
    combination->limits[combination->limit_count++] =
        (struct sh_wifi_limit){.types = types_of(table[NL80211_IFACE_LIMIT_TYPES]),
                               .max = nla_get_u32(table[NL80211_IFACE_LIMIT_MAX])};
    return true;
}

/* One that we cannot read whole is none: less would allow more. */
static bool read_combination(struct nlattr *nest, struct sh_wifi_combination *combination)
{
    static const struct nla_policy policy[MAX_NL80211_IFACE_COMB + 1] = {
        [NL80211_IFACE_COMB_LIMITS] = {.type = NLA_NESTED},
        [NL80211_IFACE_COMB_MAXNUM] = {.type = NLA_U32},
        [NL80211_IFACE_COMB_NUM_CHANNELS] = {.type = NLA_U32},
    };
    struct nlattr *table[MAX_NL80211_IFACE_COMB + 1];
    struct nlattr *at;
    int left;
    if (nla_parse_nested(table, MAX_NL80211_IFACE_COMB, nest, policy) < 0 ||
        !table[NL80211_IFACE_COMB_LIMITS] || !table[NL80211_IFACE_COMB_MAXNUM] ||
        !table[NL80211_IFACE_COMB_NUM_CHANNELS])
        return false;
    *combination = (struct sh_wifi_combination){
        .total = nla_get_u32(table[NL80211_IFACE_COMB_MAXNUM]),
        .channels = nla_get_u32(table[NL80211_IFACE_COMB_NUM_CHANNELS])};
    nla_for_each_nested(at, table[NL80211_IFACE_COMB_LIMITS], left)
    {
        if (!take_limit(at, combination))
            return false;
    }
    return true;
}

static void take_combinations(const struct nlattr *list, struct sh_wifi_phy *phy)
{
    struct nlattr *at;
    int left;
    nla_for_each_nested(at, list, left)
    {
        if (phy->combination_count < SH_WIFI_COMBINATIONS &&
            read_combination(at, &phy->combinations[phy->combination_count]))
            phy->combination_count++;
    }
}

/* ---- Messages ---- */

/* A phy is told in many messages. */
static struct sh_wifi_phy *phy_for(struct sh_wifi_radio *radio, uint32_t index)
{
    for (size_t i = 0; i < radio->phy_count; i++) {
        if (radio->phys[i].index == index)
            return &radio->phys[i];
    }
    if (radio->phy_count == SH_WIFI_PHYS)
        return NULL;
    struct sh_wifi_phy *phy = &radio->phys[radio->phy_count++];
    *phy = (struct sh_wifi_phy){.index = index};
    return phy;
}

void sh_wifi_nl_parse_phy(struct sh_bytes attributes, struct sh_wifi_radio *radio)
{
    static const struct nla_policy policy[NL80211_ATTR_MAX + 1] = {
        [NL80211_ATTR_WIPHY] = {.type = NLA_U32},
        [NL80211_ATTR_WIPHY_NAME] = {.type = NLA_STRING},
        [NL80211_ATTR_SUPPORTED_IFTYPES] = {.type = NLA_NESTED},
        [NL80211_ATTR_WIPHY_BANDS] = {.type = NLA_NESTED},
        [NL80211_ATTR_INTERFACE_COMBINATIONS] = {.type = NLA_NESTED},
        [NL80211_ATTR_MAX_AP_ASSOC_STA] = {.type = NLA_U8},
    };
    struct nlattr *table[NL80211_ATTR_MAX + 1];
    if (!parse(table, NL80211_ATTR_MAX, attributes, policy) || !table[NL80211_ATTR_WIPHY])
        return;
    struct sh_wifi_phy *phy = phy_for(radio, nla_get_u32(table[NL80211_ATTR_WIPHY]));
    if (!phy)
        return;
    if (table[NL80211_ATTR_WIPHY_NAME])
        copy_name(phy->name, table[NL80211_ATTR_WIPHY_NAME]);
    if (table[NL80211_ATTR_SUPPORTED_IFTYPES])
        phy->types = types_of(table[NL80211_ATTR_SUPPORTED_IFTYPES]);
    if (table[NL80211_ATTR_WIPHY_BANDS])
        take_bands(table[NL80211_ATTR_WIPHY_BANDS], phy);
    if (table[NL80211_ATTR_INTERFACE_COMBINATIONS])
        take_combinations(table[NL80211_ATTR_INTERFACE_COMBINATIONS], phy);
    if (table[NL80211_ATTR_MAX_AP_ASSOC_STA])
        phy->group_members = nla_get_u8(table[NL80211_ATTR_MAX_AP_ASSOC_STA]);
}

void sh_wifi_nl_parse_iface(struct sh_bytes attributes, struct sh_wifi_radio *radio)
{
    static const struct nla_policy policy[NL80211_ATTR_MAX + 1] = {
        [NL80211_ATTR_IFINDEX] = {.type = NLA_U32},
        [NL80211_ATTR_WIPHY] = {.type = NLA_U32},
        [NL80211_ATTR_IFNAME] = {.type = NLA_STRING},
        [NL80211_ATTR_IFTYPE] = {.type = NLA_U32},
        [NL80211_ATTR_MAC] = {.minlen = 6},
        [NL80211_ATTR_SSID] = {.type = NLA_UNSPEC},
        [NL80211_ATTR_WIPHY_FREQ] = {.type = NLA_U32},
    };
    struct nlattr *table[NL80211_ATTR_MAX + 1];
    if (!parse(table, NL80211_ATTR_MAX, attributes, policy) || !table[NL80211_ATTR_WIPHY] ||
        !table[NL80211_ATTR_IFTYPE] || radio->iface_count == SH_WIFI_IFACES)
        return;
    struct sh_wifi_iface iface = {.phy = nla_get_u32(table[NL80211_ATTR_WIPHY]),
                                  .type = nla_get_u32(table[NL80211_ATTR_IFTYPE])};
    if (table[NL80211_ATTR_IFINDEX] && table[NL80211_ATTR_IFNAME]) {
        iface.ifindex = nla_get_u32(table[NL80211_ATTR_IFINDEX]);
        copy_name(iface.name, table[NL80211_ATTR_IFNAME]);
    }
    if (table[NL80211_ATTR_MAC])
        memcpy(iface.address, nla_data(table[NL80211_ATTR_MAC]), sizeof(iface.address));
    if (table[NL80211_ATTR_SSID] &&
        (size_t)nla_len(table[NL80211_ATTR_SSID]) <= sizeof(iface.ssid)) {
        iface.ssid_len = (size_t)nla_len(table[NL80211_ATTR_SSID]);
        memcpy(iface.ssid, nla_data(table[NL80211_ATTR_SSID]), iface.ssid_len);
    }
    if (table[NL80211_ATTR_WIPHY_FREQ])
        iface.mhz = nla_get_u32(table[NL80211_ATTR_WIPHY_FREQ]);
    radio->ifaces[radio->iface_count++] = iface;
}

void sh_wifi_nl_parse_country(struct sh_bytes attributes, struct sh_wifi_radio *radio)
{
    static const struct nla_policy policy[NL80211_ATTR_MAX + 1] = {
        [NL80211_ATTR_WIPHY] = {.type = NLA_U32},
        [NL80211_ATTR_REG_ALPHA2] = {.type = NLA_STRING, .minlen = 2},
    };
    struct nlattr *table[NL80211_ATTR_MAX + 1];
    if (!parse(table, NL80211_ATTR_MAX, attributes, policy) || !table[NL80211_ATTR_REG_ALPHA2])
        return;
    /* The one without a phy is the system's; a radio's own, where there is one, says more. */
    memcpy(radio->country, nla_data(table[NL80211_ATTR_REG_ALPHA2]), 2);
    for (size_t i = 0; i < 2; i++) {
        char c = radio->country[i];
        if (!((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')))
            radio->country[i] = '?';
    }
    radio->country[2] = '\0';
}
