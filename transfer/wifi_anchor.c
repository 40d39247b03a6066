/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "crypto/keys.h"
#include "proto/log.h"
#include "proto/slow.h"
#include "system/clock.h"
#include "transfer/wifi_internal.h"

#define BACKOFF_MS     1000
#define BACKOFF_MAX_MS 30000
#define NAME_RANDOM    8
#define PASSPHRASE     32

struct sh_wifi_anchor {
    struct sh_wifi *wifi;
    struct sh_wifi_group group;
    struct sh_wifi_run *run;
    struct sh_tcp_listener *listener;
    struct event *again;
    unsigned backoff_ms;
    enum sh_cause told; /* the last failure that was offered; SH_OK: none */
    bool begun;
    sh_ms started;
    struct sh_tcp_address addresses[2];
    ProtobufCBinaryData offered[2];
    Simhop__WifiGroup wire;
    Simhop__LinkOffer offer;
};

/* RFC 4648 section 6, of five bits each: no letter and digit that look alike. */
static void base32(const uint8_t *octets, size_t characters, char *out)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    for (size_t i = 0; i < characters; i++)
        out[i] = alphabet[octets[i] & 31];
}

/* "DIRECT-xy-" and eight more (Wi-Fi P2P 1.x section 3.2.1 asks for the first ten), all random to whoever does not have the seed. */
static enum sh_cause derive(struct sh_wifi_group *group, struct sh_bytes seed)
{
    sh_autowipe struct sh_secret secret = {.b = {0}};
    uint8_t name[2 + NAME_RANDOM], passphrase[PASSPHRASE];
    char text[] = "DIRECT-..-........";
    memcpy(secret.b, seed.p, SH_MIN(seed.n, sizeof(secret.b)));
    SH_TRY(sh_hkdf_expand(&secret, "simhop1 wifi ssid", name, sizeof(name)));
    SH_TRY(sh_hkdf_expand(&secret, "simhop1 wifi psk", passphrase, sizeof(passphrase)));
    base32(name, 2, text + strlen("DIRECT-"));
    base32(name + 2, NAME_RANDOM, text + strlen("DIRECT-..-"));
    group->ssid_len = strlen(text);
    memcpy(group->ssid, text, group->ssid_len);
    base32(passphrase, sizeof(passphrase), group->passphrase);
    sh_wipe(passphrase, sizeof(passphrase));
    return SH_OK;
}

static void take_down(struct sh_wifi_anchor *a, enum sh_cause cause, bool lost)
{
    sh_tcp_listener_free(a->listener);
    a->listener = NULL;
    sh_tcp_streams_cut(&a->wifi->owner, cause, lost);
    if (!sh_wifi_run_free(a->run))
        a->wifi->swept = false;
    a->run = NULL;
}

/* Goes on trying, ever more slowly, as long as somebody wants it. */
static void fail(struct sh_wifi_anchor *a, enum sh_cause cause)
{
    struct sh_link *link = &a->wifi->link;
    cause = sh_wifi_name_cause(a->wifi, cause);
    const struct timeval after = {.tv_sec = a->backoff_ms / 1000,
                                  .tv_usec = (suseconds_t)(a->backoff_ms % 1000) * 1000};
    sh_log("wifi: group: %s (%s), again in %u ms", sh_cause_info(cause)->name, sh_detail(),
           a->backoff_ms);
    event_add(a->again, &after);
    a->backoff_ms = SH_MIN(2 * a->backoff_ms, BACKOFF_MAX_MS);
    bool told = a->told == cause;
    a->told = cause;
    if (!told)
        link->ops->offered(link, NULL, cause, link->user);
}

static void on_accepted(struct sh_stream *stream, void *user)
{
    struct sh_link *link = &((struct sh_wifi_anchor *)user)->wifi->link;
    link->ops->accepted(link, stream, link->user);
}

static void fill_offer(struct sh_wifi_anchor *a, const struct sh_wifi_up *up)
{
    Simhop__WifiGroup group = SIMHOP__WIFI_GROUP__INIT;
    Simhop__LinkOffer offer = SIMHOP__LINK_OFFER__INIT;
    memcpy(a->group.bssid, up->bssid, sizeof(a->group.bssid));
    memcpy(a->addresses, up->addresses, sizeof(a->addresses));
    group.ssid = (ProtobufCBinaryData){.data = a->group.ssid, .len = a->group.ssid_len};
    group.passphrase = a->group.passphrase;
    group.bssid = (ProtobufCBinaryData){.data = a->group.bssid, .len = sizeof(a->group.bssid)};
    group.frequency_mhz = a->group.frequency_mhz;
    a->wire = group;
    for (size_t i = 0; i < up->address_count; i++)
        a->offered[i] =
            (ProtobufCBinaryData){.data = a->addresses[i].bytes, .len = a->addresses[i].len};
    offer.kind = SIMHOP__LINK_KIND__LINK_KIND_WIFI_DIRECT;
    offer.addresses = a->offered;
    offer.n_addresses = up->address_count;
    offer.port = sh_tcp_listener_port(a->listener);
    offer.wifi_group = &a->wire;
    a->offer = offer;
}

static void on_up(const struct sh_wifi_up *up, void *user)
{
    struct sh_wifi_anchor *a = user;
    struct sh_link *link = &a->wifi->link;
    /* Any address: the interface is the group's alone, and nobody else reaches it there. */
    const struct sh_tcp_local local = {.iface = up->iface, .ifindex = up->ifindex};
    enum sh_cause cause =
        sh_tcp_listener_new(&a->wifi->owner, &local, on_accepted, a, &a->listener);
    if (cause != SH_OK) {
        take_down(a, cause, false);
        fail(a, cause);
        return;
    }
    sh_log("wifi: group on %s up after %llu ms", up->iface,
           (unsigned long long)(sh_now() - a->started));
    a->told = SH_OK;
    a->backoff_ms = BACKOFF_MS;
    fill_offer(a, up);
    link->ops->offered(link, &a->offer, SH_OK, link->user);
}

static void on_ended(enum sh_cause cause, void *user)
{
    struct sh_wifi_anchor *a = user;
    take_down(a, cause, true);
    fail(a, cause);
}

static const struct sh_wifi_run_ops run_ops = {.up = on_up, .ended = on_ended};

static enum sh_cause start(struct sh_wifi_anchor *a)
{
    struct sh_wifi *wifi = a->wifi;
    struct sh_wifi_radio radio;
    const struct sh_wifi_iface *station = NULL;
    struct sh_wifi_run_config config;
    a->started = sh_now();
    SH_TRY(sh_wifi_look(wifi, &radio, &station, &config));
    SH_TRY(sh_wifi_group_frequency(&radio, station, &a->group.frequency_mhz));
    config.kind = SH_WPA_OWN;
    config.group = a->group;
    sh_wifi_note(wifi, "Wi-Fi Direct: starting a group with %s on %u MHz.", station->name,
                 a->group.frequency_mhz);
    enum sh_cause cause = sh_wifi_run_new(&config, &run_ops, a, &a->run);
    sh_wipe(&config.group, sizeof(config.group));
    return cause;
}

static void try(struct sh_wifi_anchor *a)
{
    enum sh_cause cause = start(a);
    if (cause != SH_OK)
        fail(a, cause);
}

static void on_again(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    SH_SLOW("wifi anchor");
    struct sh_wifi_anchor *a = user;
    if (a->wifi->swept || sh_wifi_join_runs(a->wifi->join)) {
        try(a);
        return;
    }
    a->begun = false; /* begins again when what was left is gone */
    enum sh_cause cause = sh_wifi_prepare(a->wifi);
    if (cause != SH_OK)
        fail(a, cause);
}

void sh_wifi_anchor_begin(struct sh_wifi_anchor *a)
{
    if (a->begun)
        return;
    a->begun = true;
    event_active(a->again, EV_TIMEOUT, 1);
}

enum sh_cause sh_wifi_anchor_new(struct sh_wifi *wifi, struct sh_bytes seed,
                                 struct sh_wifi_anchor **ret_anchor)
{
    struct sh_wifi_anchor *a = calloc(1, sizeof(*a));
    if (!a)
        return SH_ENV_NO_MEMORY;
    *a = (struct sh_wifi_anchor){.wifi = wifi, .backoff_ms = BACKOFF_MS, .told = SH_OK};
    enum sh_cause cause = derive(&a->group, seed);
    if (cause == SH_OK) {
        a->again = event_new(wifi->base, -1, 0, on_again, a);
        cause = a->again ? SH_OK : SH_ENV_NO_MEMORY;
    }
    if (cause != SH_OK) {
        free(a);
        return cause;
    }
    *ret_anchor = a;
    return SH_OK;
}

void sh_wifi_anchor_free(struct sh_wifi_anchor *a)
{
    if (!a)
        return;
    take_down(a, SH_CONNECT_LOST, false);
    event_free(a->again);
    sh_wipe(&a->group, sizeof(a->group));
    free(a);
}
