/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "transfer/wifi_radio.h"

#include <string.h>

#define OWN_PREFIX "hop"

const struct sh_wifi_phy *sh_wifi_phy(const struct sh_wifi_radio *radio, uint32_t index)
{
    for (size_t i = 0; i < radio->phy_count; i++) {
        if (radio->phys[i].index == index)
            return &radio->phys[i];
    }
    return NULL;
}

const struct sh_wifi_iface *sh_wifi_iface_by_name(const struct sh_wifi_radio *radio,
                                                  const char *name)
{
    for (size_t i = 0; i < radio->iface_count; i++) {
        if (radio->ifaces[i].ifindex != 0 && strcmp(radio->ifaces[i].name, name) == 0)
            return &radio->ifaces[i];
    }
    return NULL;
}

const struct sh_wifi_iface *sh_wifi_iface_by_index(const struct sh_wifi_radio *radio,
                                                   uint32_t ifindex)
{
    for (size_t i = 0; ifindex != 0 && i < radio->iface_count; i++) {
        if (radio->ifaces[i].ifindex == ifindex)
            return &radio->ifaces[i];
    }
    return NULL;
}

/* ---- Which interface ---- */

static unsigned station_rank(const struct sh_wifi_radio *radio, const struct sh_wifi_iface *iface)
{
    const struct sh_wifi_phy *phy = sh_wifi_phy(radio, iface->phy);
    uint32_t p2p = SH_WIFI_BIT(SH_WIFI_P2P_GO) | SH_WIFI_BIT(SH_WIFI_P2P_CLIENT);
    return (phy && (phy->types & p2p) ? 2U : 0U) + (iface->up ? 1U : 0U);
}

enum sh_cause sh_wifi_station(const struct sh_wifi_radio *radio, const char *name,
                              const struct sh_wifi_iface **ret_station)
{
    const struct sh_wifi_iface *best = NULL;
    for (size_t i = 0; i < radio->iface_count; i++) {
        const struct sh_wifi_iface *iface = &radio->ifaces[i];
        if (iface->type != SH_WIFI_STATION || iface->ifindex == 0)
            continue;
        if (name ? strcmp(iface->name, name) != 0
                 : strncmp(iface->name, OWN_PREFIX, strlen(OWN_PREFIX)) == 0)
            continue;
        if (!best || station_rank(radio, iface) > station_rank(radio, best))
            best = iface;
    }
    if (!best && name)
        return sh_fail(SH_WIFI_ABSENT, "%s: no Wi-Fi station interface", name);
    if (!best)
        return sh_fail(SH_WIFI_ABSENT, "no Wi-Fi station interface");
    *ret_station = best;
    return SH_OK;
}

/* ---- Interface combinations ---- */

struct wanted {
    uint32_t of_type[SH_WIFI_TYPES];
    uint32_t total, types;
    uint32_t channels[SH_WIFI_IFACES + 1];
    uint32_t channel_count;
};

static void want(struct wanted *wanted, uint32_t type, uint32_t mhz)
{
    uint32_t i = 0;
    if (type >= SH_WIFI_TYPES)
        return;
    wanted->of_type[type]++;
    wanted->types |= SH_WIFI_BIT(type);
    wanted->total++;
    while (i < wanted->channel_count && wanted->channels[i] != mhz)
        i++;
    if (mhz != 0 && i == wanted->channel_count && i < SH_COUNT(wanted->channels))
        wanted->channels[wanted->channel_count++] = mhz;
}

static bool combination_takes(const struct sh_wifi_combination *combination,
                              const struct wanted *wanted)
{
    uint32_t covered = 0;
    uint32_t left[SH_WIFI_LIMITS];
    if (wanted->total > combination->total || wanted->channel_count > combination->channels)
        return false;
    for (size_t i = 0; i < combination->limit_count; i++)
        left[i] = combination->limits[i].max;
    for (uint32_t type = 0; type < SH_WIFI_TYPES; type++) {
        for (size_t i = 0; wanted->of_type[type] > 0 && i < combination->limit_count; i++) {
            if (!(combination->limits[i].types & SH_WIFI_BIT(type)))
                continue;
            if (left[i] < wanted->of_type[type])
                return false;
            left[i] -= wanted->of_type[type];
            covered |= SH_WIFI_BIT(type);
        }
    }
    return covered == wanted->types;
}

/* Monitors and virtual LANs are the software's own and are not counted. */
static bool is_counted(const struct sh_wifi_iface *iface)
{
    return (iface->type == SH_WIFI_STATION || iface->type == SH_WIFI_AP ||
            (iface->type >= SH_WIFI_P2P_CLIENT && iface->type <= SH_WIFI_P2P_DEVICE)) &&
           (iface->up || iface->ifindex == 0);
}

bool sh_wifi_fits(const struct sh_wifi_radio *radio, const struct sh_wifi_phy *phy, uint32_t type,
                  uint32_t mhz, const struct sh_wifi_iface *without)
{
    struct wanted wanted = {.total = 0};
    uint32_t gone = without ? without->ifindex : 0;
    for (size_t i = 0; i < radio->iface_count; i++) {
        const struct sh_wifi_iface *iface = &radio->ifaces[i];
        bool is_gone = gone != 0 && iface->ifindex == gone;
        if (iface->phy == phy->index && !is_gone && is_counted(iface))
            want(&wanted, iface->type, iface->mhz);
    }
    want(&wanted, type, mhz);
    if (wanted.total == 1)
        return true;
    for (size_t i = 0; i < phy->combination_count; i++) {
        if (combination_takes(&phy->combinations[i], &wanted))
            return true;
    }
    return false;
}

/* ---- Frequencies ---- */

static const struct sh_wifi_frequency *frequency(const struct sh_wifi_phy *phy, uint32_t mhz)
{
    for (size_t i = 0; i < phy->frequency_count; i++) {
        if (phy->frequencies[i].mhz == mhz)
            return &phy->frequencies[i];
    }
    return NULL;
}

static bool is_24ghz(uint32_t mhz)
{
    return mhz >= 2412 && mhz <= 2472;
}

static bool is_5ghz(uint32_t mhz)
{
    return mhz >= 5180 && mhz <= 5885;
}

bool sh_wifi_may_own(const struct sh_wifi_phy *phy, uint32_t mhz)
{
    const struct sh_wifi_frequency *f = frequency(phy, mhz);
    return f && !f->disabled && !f->no_ir && !f->radar && (is_24ghz(mhz) || is_5ghz(mhz));
}

/* The best allowed one of which fits says that the radio has room there; 0: none. *ret_any: one is allowed at all. */
static uint32_t best_frequency(const struct sh_wifi_radio *radio, const struct sh_wifi_phy *phy,
                               bool *ret_any)
{
    static const uint16_t first[] = {2412, 2437, 2462};
    uint32_t best = 0, best_rank = UINT32_MAX;
    *ret_any = false;
    for (size_t i = 0; i < phy->frequency_count; i++) {
        uint32_t mhz = phy->frequencies[i].mhz, rank = is_24ghz(mhz) ? 3 : 4;
        if (!sh_wifi_may_own(phy, mhz))
            continue;
        *ret_any = true;
        for (uint32_t j = 0; j < SH_COUNT(first); j++) {
            if (first[j] == mhz)
                rank = j;
        }
        if (rank < best_rank && sh_wifi_fits(radio, phy, SH_WIFI_P2P_GO, mhz, NULL)) {
            best = mhz;
            best_rank = rank;
        }
    }
    return best;
}

enum sh_cause sh_wifi_group_frequency(const struct sh_wifi_radio *radio,
                                      const struct sh_wifi_iface *station, uint32_t *ret_mhz)
{
    const struct sh_wifi_phy *phy = sh_wifi_phy(radio, station->phy);
    bool any = false;
    if (!phy)
        return sh_fail(SH_WIFI_ABSENT, "%s: its radio is not here", station->name);
    if (!(phy->types & SH_WIFI_BIT(SH_WIFI_P2P_GO)))
        return sh_fail(SH_WIFI_NO_P2P, "%s: cannot own a group", phy->name);
    if (station->mhz != 0 && sh_wifi_may_own(phy, station->mhz) &&
        sh_wifi_fits(radio, phy, SH_WIFI_P2P_GO, station->mhz, NULL)) {
        *ret_mhz = station->mhz;
        return SH_OK;
    }
    uint32_t mhz = best_frequency(radio, phy, &any);
    if (!any)
        return sh_fail(SH_WIFI_REGULATORY, "%s: no channel for a group in country %s", phy->name,
                       radio->country[0] ? radio->country : "(unknown)");
    if (mhz == 0 && station->mhz != 0)
        return sh_fail(SH_WIFI_CHANNEL_CONFLICT, "%s: no group beside %s on %u MHz", phy->name,
                       station->name, station->mhz);
    if (mhz == 0)
        return sh_fail(SH_WIFI_NO_P2P, "%s: no group beside its other interfaces", phy->name);
    *ret_mhz = mhz;
    return SH_OK;
}

/* ---- Joining ---- */

const char *sh_wifi_way_name(enum sh_wifi_way way)
{
    static const char *const names[] = {"second-station", "p2p-client", "station"};
    return (size_t)way < SH_COUNT(names) ? names[way] : "";
}

enum sh_cause sh_wifi_can_join(const struct sh_wifi_radio *radio,
                               const struct sh_wifi_iface *station, enum sh_wifi_way way,
                               uint32_t mhz)
{
    const struct sh_wifi_phy *phy = sh_wifi_phy(radio, station->phy);
    uint32_t type = way == SH_WIFI_WAY_CLIENT ? SH_WIFI_P2P_CLIENT : SH_WIFI_STATION;
    if (!phy)
        return sh_fail(SH_WIFI_ABSENT, "%s: its radio is not here", station->name);
    if (!(phy->types & SH_WIFI_BIT(type)))
        return sh_fail(SH_WIFI_NO_P2P, "%s: no interface for %s", phy->name, sh_wifi_way_name(way));
    const struct sh_wifi_frequency *f = frequency(phy, mhz);
    if (!f || f->disabled)
        return sh_fail(SH_WIFI_REGULATORY, "%s: %u MHz is not %s", phy->name, mhz,
                       f ? "allowed in this country" : "a channel of this radio");
    /* The station interface gives up its own link; the group's channel takes that place. */
    const struct sh_wifi_iface *without = way == SH_WIFI_WAY_STATION ? station : NULL;
    if (sh_wifi_fits(radio, phy, type, mhz, without))
        return SH_OK;
    if (station->mhz != 0 && station->mhz != mhz && sh_wifi_fits(radio, phy, type, 0, without))
        return sh_fail(SH_WIFI_CHANNEL_CONFLICT, "%s: is bound to %u MHz, the group is on %u MHz",
                       phy->name, station->mhz, mhz);
    return sh_fail(SH_WIFI_NO_P2P, "%s: no room for %s beside its other interfaces", phy->name,
                   sh_wifi_way_name(way));
}
