/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a machine's Wi-Fi radios can do, and the judging of it: may a group owner stand beside the station
 * link, may a second station, on which channel. Pure: a snapshot goes in (wifi_nl.h reads one from the kernel), an answer
 * comes out.
 *
 * Interface combinations are judged as the kernel does (cfg80211_iter_combinations): an interface counts while
 * it is up, the station's channel counts while it is connected.
 */
#ifndef SIMHOP_TRANSFER_WIFI_RADIO_H
#define SIMHOP_TRANSFER_WIFI_RADIO_H

#include "proto/cause.h"

#define SH_WIFI_PHYS         8
#define SH_WIFI_IFACES       32
#define SH_WIFI_FREQUENCIES  128 /* a phy */
#define SH_WIFI_COMBINATIONS 16  /* a phy */
#define SH_WIFI_LIMITS       8   /* a combination */
#define SH_WIFI_NAME         32

/* Bits of sets of types: the numbers of enum nl80211_iftype. */
enum sh_wifi_type {
    SH_WIFI_STATION = 2,
    SH_WIFI_AP = 3,
    SH_WIFI_P2P_CLIENT = 8,
    SH_WIFI_P2P_GO = 9,
    SH_WIFI_P2P_DEVICE = 10,
    SH_WIFI_TYPES = 16, /* all that the kernel has are below */
};
#define SH_WIFI_BIT(type) (UINT32_C(1) << (type))

struct sh_wifi_frequency {
    uint16_t mhz;
    bool disabled, no_ir, radar; /* no_ir: only who hears an access point there may send */
};

struct sh_wifi_limit {
    uint32_t types; /* set */
    uint32_t max;   /* of them together */
};

struct sh_wifi_combination {
    struct sh_wifi_limit limits[SH_WIFI_LIMITS];
    size_t limit_count;
    uint32_t total, channels;
};

struct sh_wifi_phy {
    uint32_t index;
    char name[SH_WIFI_NAME]; /* "phy0" */
    uint32_t types;          /* set: what an interface of it may be */
    struct sh_wifi_frequency frequencies[SH_WIFI_FREQUENCIES];
    size_t frequency_count;
    struct sh_wifi_combination combinations[SH_WIFI_COMBINATIONS];
    size_t combination_count;
    unsigned group_members; /* most stations of a group owner as the driver says; 0: it does not */
};

struct sh_wifi_iface {
    uint32_t ifindex;        /* 0: a P2P device, which is no network interface */
    uint32_t phy;            /* index */
    char name[SH_WIFI_NAME]; /* "" with ifindex 0 */
    uint32_t type;           /* enum sh_wifi_type or another number of the kernel's */
    uint8_t address[6];
    uint8_t ssid[32]; /* of a group owner; some kernels also tell what a client is connected to */
    size_t ssid_len;
    uint32_t mhz; /* its channel now; 0: none or not told */
    bool up;
};

struct sh_wifi_radio {
    struct sh_wifi_phy phys[SH_WIFI_PHYS];
    size_t phy_count;
    struct sh_wifi_iface ifaces[SH_WIFI_IFACES];
    size_t iface_count;
    char country[3]; /* "00": the world's; "": not told */
};

/* NULL: none. */
const struct sh_wifi_phy *sh_wifi_phy(const struct sh_wifi_radio *radio, uint32_t index);
const struct sh_wifi_iface *sh_wifi_iface_by_name(const struct sh_wifi_radio *radio,
                                                  const char *name);
const struct sh_wifi_iface *sh_wifi_iface_by_index(const struct sh_wifi_radio *radio,
                                                   uint32_t ifindex);

/* The station interface to use: the one of that name, or (NULL) the best: of a radio that can be a group owner or P2P client, then one
 * that is up. Interfaces whose names start with `hop` are our own and passed over. Fails with wifi.absent. */
SH_MUST_USE enum sh_cause sh_wifi_station(const struct sh_wifi_radio *radio, const char *name,
                                          const struct sh_wifi_iface **ret_station);

/* May an interface of this type be added on this channel (0: none yet) beside all that are up? without: one that is
 * counted as gone, may be NULL. */
bool sh_wifi_fits(const struct sh_wifi_radio *radio, const struct sh_wifi_phy *phy, uint32_t type,
                  uint32_t mhz, const struct sh_wifi_iface *without);

/* May a group owner send there: enabled, not reserved for who hears others first, no radar to look for, and a band that
 * a group with WPA2 has (2.4 and 5 GHz)? */
bool sh_wifi_may_own(const struct sh_wifi_phy *phy, uint32_t mhz);

/* Anchor: where a group owner goes beside this station: the station's own channel; else 1, 6 or 11, another one of 2.4 GHz, and 5 GHz
 * only if nothing else is allowed, since we do not know what the other side's radio has. Fails with wifi.no-p2p, wifi.channel-conflict,
 * wifi.regulatory. */
SH_MUST_USE enum sh_cause sh_wifi_group_frequency(const struct sh_wifi_radio *radio,
                                                  const struct sh_wifi_iface *station,
                                                  uint32_t *ret_mhz);

/* The ways of a secondary into a group, in the order in which they are tried. */
enum sh_wifi_way {
    SH_WIFI_WAY_SECOND,  /* a second station interface */
    SH_WIFI_WAY_CLIENT,  /* a P2P client */
    SH_WIFI_WAY_STATION, /* the station interface itself, whose own link is lost meanwhile */
    SH_WIFI_WAYS,
};
/* "second-station", "p2p-client", "station". */
const char *sh_wifi_way_name(enum sh_wifi_way way);

/* Can this way work towards a group on mhz? SH_OK, wifi.no-p2p (the radio has no such interface), wifi.channel-conflict,
 * wifi.regulatory (the channel is not allowed here, or the radio does not have it). */
SH_MUST_USE enum sh_cause sh_wifi_can_join(const struct sh_wifi_radio *radio,
                                           const struct sh_wifi_iface *station,
                                           enum sh_wifi_way way, uint32_t mhz);

#endif
