/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>
#include <string.h>

#include "cli/rerun_internal.h"

#define ADDRESSES 16
#define PORT      1

/* ---- What the engines ask for ---- */

static void on_dial(const struct sh_attempt *attempt, void *user)
{
    struct rerun_links *links = user;
    links->dialled = attempt->id;
    links->kinds[attempt->id % SH_COUNT(links->kinds)] = attempt->kind;
}

static void on_cancel(unsigned attempt SH_UNUSED, void *user SH_UNUSED) {}

static void on_given_up(int kind, enum sh_cause cause, void *user)
{
    struct rerun_links *links = user;
    sh_paths_given_up(&links->paths, kind, cause, links->now);
}

static const struct sh_ladder_ops ladder_ops = {
    .dial = on_dial, .cancel = on_cancel, .failed = on_given_up};

/* The other end can be asked as long as a link is up. */
static bool on_ask(int kind SH_UNUSED, void *user)
{
    return ((const struct rerun_links *)user)->carriers > 0;
}

static void on_failed(int kind SH_UNUSED, enum sh_cause verdict SH_UNUSED, void *user SH_UNUSED) {}

static const struct sh_paths_ops paths_ops = {.ask = on_ask, .failed = on_failed};

enum sh_cause rerun_links_begin(struct rerun_links *links, const struct sh_trace_record *record,
                                sh_ms now)
{
    int allowed[3];
    size_t count = 0;
    rerun_links_clear(links);
    for (size_t i = 1; i <= SH_COUNT(allowed); i++) {
        if (record->v[i] > 0)
            allowed[count++] = (int)record->v[i];
    }
    links->now = now;
    links->paths = (struct sh_paths){.ops = &paths_ops, .user = links};
    sh_patience_begin(&links->patience, now);
    return sh_ladder_new(allowed, count, (uint64_t)record->v[0], &ladder_ops, links,
                         &links->ladder);
}

void rerun_links_clear(struct rerun_links *links)
{
    sh_ladder_free(links->ladder);
    *links = (struct rerun_links){.ladder = NULL};
}

/* ---- Offers ---- */

static void keep_offer(struct rerun_links *links, const int64_t *v)
{
    if (links->offer_count == SH_COUNT(links->offers))
        return;
    links->offers[links->offer_count].kind = (int)v[0];
    links->offers[links->offer_count].tag = v[1];
    links->offers[links->offer_count].v6 = v[2];
    links->offers[links->offer_count++].v4 = v[3];
}

/* An offer as it was, but for what was not recorded: addresses and a group that differ where the tag does. */
struct made_offer {
    Simhop__LinkOffer base;
    Simhop__WifiGroup group;
    ProtobufCBinaryData addresses[2 * ADDRESSES];
    uint8_t octets[2 * ADDRESSES][16];
    uint8_t ssid[8], bssid[6];
    char passphrase[9];
};

static void add_addresses(struct made_offer *made, int64_t count, size_t octets, int64_t tag)
{
    for (int64_t i = 0; i < SH_MIN(count, ADDRESSES); i++) {
        size_t n = made->base.n_addresses++;
        memset(made->octets[n], 0, sizeof(made->octets[n]));
        made->octets[n][0] = (uint8_t)(tag & 0xff);
        made->octets[n][1] = (uint8_t)(tag >> 8 & 0xff);
        made->octets[n][2] = (uint8_t)i;
        made->addresses[n] = (ProtobufCBinaryData){octets, made->octets[n]};
    }
}

static void make_offer(struct made_offer *made, int kind, int64_t tag, int64_t v6, int64_t v4)
{
    simhop__link_offer__init(&made->base);
    made->base.kind = (Simhop__LinkKind)kind;
    made->base.port = PORT;
    made->base.addresses = made->addresses;
    add_addresses(made, v6, 16, tag);
    add_addresses(made, v4, 4, tag);
    if (kind != SIMHOP__LINK_KIND__LINK_KIND_WIFI_DIRECT)
        return;
    simhop__wifi_group__init(&made->group);
    memset(made->ssid, 'x', sizeof(made->ssid));
    memset(made->bssid, 2, sizeof(made->bssid));
    snprintf(made->passphrase, sizeof(made->passphrase), "%08u", (unsigned)tag % 100000000U);
    made->group.ssid = (ProtobufCBinaryData){sizeof(made->ssid), made->ssid};
    made->group.bssid = (ProtobufCBinaryData){sizeof(made->bssid), made->bssid};
    made->group.passphrase = made->passphrase;
    made->group.frequency_mhz = 2412;
    made->base.wifi_group = &made->group;
}

static enum sh_cause take_offers(struct rerun_links *links)
{
    struct made_offer made[SH_PATHS_KINDS];
    Simhop__LinkOffer *list[SH_PATHS_KINDS];
    Simhop__LinkOffers offers = SIMHOP__LINK_OFFERS__INIT;
    for (size_t i = 0; i < links->offer_count; i++) {
        make_offer(&made[i], links->offers[i].kind, links->offers[i].tag, links->offers[i].v6,
                   links->offers[i].v4);
        list[i] = &made[i].base;
    }
    offers.n_offers = links->offer_count;
    offers.offers = list;
    links->offer_count = 0;
    return sh_ladder_offers(links->ladder, &offers, links->now);
}

/* ---- What was seen ---- */

static void on_path(struct rerun_links *links, const struct sh_trace_record *record)
{
    struct sh_path_facts facts = sh_trace_facts(record);
    links->judged_kind = (int)record->v[0];
    links->judged_at = links->now;
    links->judged = sh_paths_note(&links->paths, links->judged_kind, &facts,
                                  (enum sh_cause)record->v[1], links->now);
}

/* What goes down for what was just judged, goes down for what the engine says of it now. */
static enum sh_cause verdict_of(const struct rerun_links *links, int kind, int64_t recorded)
{
    bool ours = links->judged_kind == kind && links->judged_at == links->now;
    return ours && recorded != SH_OK ? links->judged : (enum sh_cause)recorded;
}

static void on_carries(struct rerun_links *links, const int64_t *v)
{
    sh_ms clock = sh_patience_clock(&links->patience, links->now);
    if (v[2]) {
        links->carriers++;
        sh_patience_link_up(&links->patience, clock);
        return;
    }
    sh_paths_keep(&links->paths, (int)v[1], verdict_of(links, (int)v[1], v[3]));
    links->carriers -= links->carriers > 0;
    if (links->carriers == 0)
        sh_patience_no_link(&links->patience, clock);
}

/* 0: of the link that the anchor called for, which is one of LAN. */
static void on_attempt_down(struct rerun_links *links, unsigned attempt, int64_t recorded)
{
    int kind = links->kinds[attempt % SH_COUNT(links->kinds)];
    if (attempt == 0)
        sh_ladder_lost(links->ladder, SIMHOP__LINK_KIND__LINK_KIND_LAN,
                       verdict_of(links, SIMHOP__LINK_KIND__LINK_KIND_LAN, recorded), links->now);
    else
        sh_ladder_down(links->ladder, attempt, verdict_of(links, kind, recorded), links->now);
}

static void on_moved(struct rerun_links *links, const int64_t *v)
{
    sh_patience_moved(&links->patience, sh_patience_clock(&links->patience, links->now));
    links->left = v[1];
    links->more = v[2];
}

enum sh_cause rerun_links_record(struct rerun_links *links, const struct sh_trace_record *record,
                                 sh_ms now)
{
    const int64_t *v = record->v;
    unsigned attempt = (unsigned)v[0];
    if (!links->ladder)
        return SH_OK;
    links->now = now;
    switch ((unsigned)record->kind) { /* most kinds are for others */
    case SH_TRACE_OFFER:
        keep_offer(links, v);
        break;
    case SH_TRACE_OFFERS:
        return take_offers(links);
    case SH_TRACE_NETWORK:
        sh_ladder_again(links->ladder, SIMHOP__LINK_KIND__LINK_KIND_LAN, now);
        break;
    case SH_TRACE_PATH:
        on_path(links, record);
        break;
    case SH_TRACE_VIEW:
        sh_paths_view(&links->paths, (int)v[0], v[1] != 0, (unsigned)v[2]);
        break;
    case SH_TRACE_DIAL:
        /* One that failed as it was dialled made way for this one in the same tick. */
        if (attempt > links->dialled)
            (void)sh_ladder_tick(links->ladder, now);
        break;
    case SH_TRACE_ATTEMPT_UP: /* 0: the anchor called */
        if (attempt == 0)
            sh_ladder_taken(links->ladder, (int)v[1], now);
        else
            sh_ladder_up(links->ladder, attempt, now);
        sh_paths_up(&links->paths, (int)v[1]);
        break;
    case SH_TRACE_ATTEMPT_DOWN:
        on_attempt_down(links, attempt, v[1]);
        break;
    case SH_TRACE_CARRIES:
        on_carries(links, v);
        break;
    case SH_TRACE_EXPECT:
        links->patience.expected = now + (sh_ms)v[0];
        break;
    case SH_TRACE_ITEMS:
        links->has_items = v[0] > 0;
        break;
    case SH_TRACE_MOVED:
        on_moved(links, v);
        break;
    default:
        break;
    }
    return SH_OK;
}

enum sh_cause rerun_links_tick(struct rerun_links *links, sh_ms now)
{
    if (!links->ladder)
        return SH_OK;
    links->now = now;
    (void)sh_ladder_tick(links->ladder, now);
    (void)sh_paths_tick(&links->paths, now);
    sh_ms clock = sh_patience_clock(&links->patience, now);
    if (sh_patience_look(&links->patience, (sh_ms)links->more, clock) == SH_PATIENCE_LASTS)
        return SH_OK;
    bool receipt = links->has_items && links->left == 0;
    return sh_paths_end(&links->paths, receipt ? SH_RECEIPT_TIMEOUT : SH_TRANSFER_STALLED);
}

void rerun_links_pass(struct rerun_links *links, sh_ms now)
{
    if (links->ladder)
        (void)sh_patience_clock(&links->patience, now);
}
