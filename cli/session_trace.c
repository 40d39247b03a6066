/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a session tells the recorder (cli/tracer.h): all that its engines are given and what they make of it, and nothing else. */
#include "cli/session_internal.h"

#define LOOK_MS 1000

static int64_t known_level(const struct sh_level *level)
{
    int64_t number = sh_trace_hundredths(level->dbm);
    return number == SH_TRACE_NONE ? 0 : number;
}

void sh_session_trace_measure(struct sh_session *s)
{
    const struct sh_level *level = &s->config.level;
    bool optional = s->config.policy == SH_POLICY_OFF || sh_session_calibrates(s);
    TRACE(s, MEASURE, known_level(level), (int64_t)level->kind,
          (int64_t)sh_policy_rule(s->config.policy), optional);
}

void sh_session_trace_measured(struct sh_session *s, const struct sh_proximity_estimate *estimate)
{
    TRACE(s, MEASURED, (int64_t)estimate->verdict, sh_trace_hundredths(estimate->metres),
          estimate->confidence_percent, estimate->samples);
}

void sh_session_trace_theirs(struct sh_session *s, const struct sh_samples *theirs)
{
    if (!s->config.tracer)
        return;
    TRACE(s, THEIRS, known_level(&theirs->level), (int64_t)theirs->level.kind,
          (int64_t)(theirs->rate_hz * 1000.0), (int64_t)theirs->count);
    for (size_t i = 0; i < theirs->count; i++)
        TRACE(s, PEER, theirs->at[i].ms, theirs->at[i].dbm, theirs->at[i].channel);
}

void sh_session_trace_judged(struct sh_session *s, enum sh_cause cause, bool demanded)
{
    const struct sh_nearness *nearness = &s->nearness;
    const struct sh_proximity_evidence *evidence = &nearness->joint.evidence;
    TRACE(s, JUDGED, sh_trace_hundredths(evidence->score_db),
          sh_trace_hundredths(evidence->asymmetry_db), nearness->stepped, nearness->unheard,
          demanded, (int64_t)cause);
}

/* ---- Links ---- */

void sh_session_trace_transfer(struct sh_session *s, uint64_t chance)
{
    int64_t kinds[3] = {0, 0, 0};
    for (size_t i = 0; i < SH_MIN(s->config.link_count, SH_COUNT(kinds)); i++)
        kinds[i] = s->config.links[i];
    TRACE(s, TRANSFER, (int64_t)chance, kinds[0], kinds[1], kinds[2]);
}

static uint64_t mixed(uint64_t hash, const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ p[i]) * UINT64_C(0x100000001b3); /* FNV-1a */
    return hash;
}

/* Only to see whether an offer is another one than the last of its kind: the value stays here. */
static uint64_t offer_hash(const Simhop__LinkOffer *offer)
{
    uint64_t hash = mixed(UINT64_C(0xcbf29ce484222325), &offer->port, sizeof(offer->port));
    for (size_t i = 0; i < offer->n_addresses; i++)
        hash = mixed(hash, offer->addresses[i].data, offer->addresses[i].len);
    if (!offer->wifi_group)
        return hash;
    hash = mixed(hash, offer->wifi_group->ssid.data, offer->wifi_group->ssid.len);
    return mixed(hash, &offer->wifi_group->frequency_mhz, sizeof(offer->wifi_group->frequency_mhz));
}

static void trace_offer(struct sh_session *s, const Simhop__LinkOffer *offer)
{
    int64_t families[2] = {0, 0};
    int kind = (int)offer->kind;
    if (kind <= 0 || kind >= SH_SESSION_KINDS)
        return;
    uint64_t hash = offer_hash(offer);
    if (s->offers[kind].tag == 0 || s->offers[kind].hash != hash)
        s->offers[kind].tag++;
    s->offers[kind].hash = hash;
    for (size_t i = 0; i < offer->n_addresses; i++)
        families[offer->addresses[i].len == 4]++;
    TRACE(s, OFFER, kind, s->offers[kind].tag, families[0], families[1]);
}

enum sh_cause sh_session_take_offers(struct sh_session *s, const Simhop__LinkOffers *offers)
{
    for (size_t i = 0; s->config.tracer && i < offers->n_offers; i++)
        trace_offer(s, offers->offers[i]);
    sh_ms now = sh_session_event(s);
    TRACE_AT(s, now, OFFERS, 0);
    s->asking = true;
    enum sh_cause cause = sh_ladder_offers(s->ladder, offers, now);
    s->asking = false;
    return cause;
}

void sh_session_attempt_up(struct sh_session *s, unsigned attempt, int kind)
{
    sh_ms now = sh_session_event(s);
    TRACE_AT(s, now, ATTEMPT_UP, attempt, kind);
    if (attempt == 0)
        sh_ladder_taken(s->ladder, kind, now);
    else
        sh_ladder_up(s->ladder, attempt, now);
    sh_paths_up(&s->paths, kind);
}

void sh_session_attempt_down(struct sh_session *s, unsigned attempt, enum sh_cause verdict)
{
    sh_ms now = sh_session_event(s);
    TRACE_AT(s, now, ATTEMPT_DOWN, attempt, (int64_t)verdict);
    if (attempt == 0)
        sh_ladder_lost(s->ladder, SIMHOP__LINK_KIND__LINK_KIND_LAN, verdict, now);
    else
        sh_ladder_down(s->ladder, attempt, verdict, now);
}

void sh_session_expect_links(struct sh_session *s)
{
    sh_ms now = sh_session_now(s);
    TRACE_AT(s, now, EXPECT, LINKS_MS);
    sh_puller_links_expected(s->puller, now + LINKS_MS);
}

/* ---- Bytes ---- */

static void trace_items(struct sh_session *s)
{
    uint64_t octets = 0;
    size_t count = sh_puller_item_count(s->puller);
    if (s->items_told || count == 0)
        return;
    s->items_told = true;
    for (size_t i = 0; i < count; i++)
        octets += sh_puller_item(s->puller, i)->size;
    TRACE(s, ITEMS, (int64_t)count, (int64_t)octets, (int64_t)sh_puller_resumed(s->puller));
}

void sh_session_trace_moved(struct sh_session *s)
{
    const struct sh_patience *patience = sh_puller_patience(s->puller);
    if (!s->config.tracer || patience->verified_at == s->moved_at)
        return;
    s->moved_at = patience->verified_at;
    trace_items(s);
    TRACE_AT(s, patience->verified_at + patience->skew, MOVED, (int64_t)sh_session_verified(s),
             (int64_t)sh_puller_left(s->puller), (int64_t)sh_puller_hash_budget(s->puller));
}

sh_ms sh_session_ask_ladder(struct sh_session *s, sh_ms now)
{
    if (now >= s->look_at) {
        s->look_at = now + LOOK_MS;
        TRACE_AT(s, now, LOOK, 0);
    }
    s->asked_at = now;
    s->asking = true;
    sh_ms next = sh_ladder_tick(s->ladder, now);
    s->asking = false;
    return next;
}

sh_ms sh_session_event(struct sh_session *s)
{
    s->look_at = 0;
    if (!s->asking)
        s->asked_at = sh_session_now(s);
    return s->asked_at;
}

void sh_session_trace_ended(struct sh_session *s)
{
    for (int kind = 1; kind < SH_SESSION_KINDS; kind++) {
        uint64_t octets = s->puller ? sh_puller_bytes(s->puller, kind) : s->link_bytes[kind];
        if (octets > 0)
            TRACE(s, OCTETS, kind, (int64_t)octets);
    }
    TRACE(s, ENDED, (int64_t)s->end_cause, (int64_t)s->by);
}
