/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The other direction of `lan`: where the secondary's calls do not come through, it listens for a while and says where, and the
 * anchor calls. The lane is then the same as any other: its key is the session's, TLS's roles, the greeting and the probes stay. When
 * the door is open is decided by transfer/back.h; the anchor's calls are a ladder of one rung. They go on until the secondary has a lane
 * in use: it is the one that probes, and what it finds of full segments shows here only by what it does.
 */
#include <stdlib.h>

#include "cli/session_internal.h"
#include "proto/log.h"

#define LAN SIMHOP__LINK_KIND__LINK_KIND_LAN

bool sh_session_is_stranger(const struct slot *slot)
{
    return slot->back && !slot->proved;
}

/* ---- Secondary: the door ---- */

static void close_door(struct sh_session *s)
{
    (void)s->ops->listen(false, s->user);
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        struct slot *slot = &s->slots[i];
        if (slot->id != 0 && slot->back && !slot->ready)
            sh_session_drop_slot(slot, SH_OK);
    }
}

/* Who came first and has not shown the key makes room. */
static bool make_room(struct sh_session *s)
{
    struct slot *oldest = NULL;
    unsigned guests = 0;
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        struct slot *slot = &s->slots[i];
        if (slot->id == 0 || slot->gone || !slot->back || slot->ready)
            continue;
        guests++;
        if (!slot->proved && (!oldest || slot->id < oldest->id))
            oldest = slot;
    }
    if (guests < SH_BACK_GUESTS)
        return true;
    if (oldest)
        sh_session_drop_slot(oldest, SH_OK);
    return oldest != NULL;
}

bool sh_session_may_join(struct sh_session *s, unsigned attempt, int kind)
{
    if (s->config.role == SH_ANCHOR)
        return s->calls != NULL;
    if (attempt > 0) {
        sh_session_note_connected(s, kind);
        return true;
    }
    return kind == LAN && sh_back_is_open(&s->back) && make_room(s);
}

void sh_session_listens(struct sh_session *s, const Simhop__LinkOffer *offer)
{
    Simhop__LinkOffer copy = *offer, *list[] = {&copy};
    Simhop__LinkOffers offers = SIMHOP__LINK_OFFERS__INIT;
    struct slot *slot = sh_session_any_lane(s);
    if (!slot || s->stage != STAGE_TRANSFER || !sh_back_is_open(&s->back))
        return;
    offers.n_offers = SH_COUNT(list);
    offers.offers = list;
    sh_log("session: the anchor is asked to call, %zu addresses", offer->n_addresses);
    enum sh_cause cause = sh_lane_send(slot->lane, SH_MSG_LINK_OFFERS, &offers.base);
    if (cause != SH_OK)
        sh_session_drop_slot(slot, cause);
    s->ops->wake(s->user);
}

void sh_session_note_dial(struct sh_session *s, int kind)
{
    if (kind == LAN)
        sh_back_dials(&s->back, sh_session_now(s));
}

void sh_session_note_connected(struct sh_session *s, int kind)
{
    if (kind == LAN)
        sh_back_connected(&s->back);
}

void sh_session_note_refused(struct sh_session *s, int kind)
{
    if (kind == LAN && !sh_ladder_dials(s->ladder, LAN))
        sh_back_refused(&s->back);
}

void sh_session_note_offers(struct sh_session *s, const Simhop__LinkOffers *offers)
{
    unsigned rank = 0;
    bool addresses = false;
    for (size_t i = 0; i < offers->n_offers; i++)
        addresses =
            addresses || (offers->offers[i]->kind == LAN && offers->offers[i]->n_addresses > 0);
    bool calls = offers->calls && s->ops->listen && sh_session_kind_allowed(s, LAN, &rank);
    sh_back_offers(&s->back, calls, addresses);
}

bool sh_session_back_hopes(int kind, void *user)
{
    const struct sh_session *s = user;
    return kind == LAN && sh_back_hopes(&s->back);
}

void sh_session_back_tick(struct sh_session *s)
{
    switch (sh_back_tick(&s->back, sh_session_now(s))) {
    case SH_BACK_OPENS:
        sh_log("session: the anchor may call, we listen");
        if (!s->ops->listen(true, s->user))
            sh_back_give_up(&s->back, sh_session_now(s));
        break;
    case SH_BACK_CLOSES:
        close_door(s);
        break;
    case SH_BACK_STAYS:
        break;
    }
}

void sh_session_link_up(struct sh_session *s, struct slot *slot)
{
    if (slot->back)
        sh_log("session: a link of kind %d is up: the anchor called", slot->kind);
    sh_session_attempt_up(s, slot->attempt, slot->kind);
    if (slot->kind != LAN)
        return;
    slot->ready = true; /* the door closes behind it */
    sh_back_up(&s->back);
    sh_session_back_tick(s);
}

/* ---- Anchor: calls ---- */

static void call_dial(const struct sh_attempt *attempt, void *user)
{
    struct sh_session *s = user;
    s->ops->dial(attempt, s->user);
}

/* Which of several lanes the secondary keeps it decides itself: one that has greeted is left to it. */
static void call_cancel(unsigned attempt, void *user)
{
    struct sh_session *s = user;
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        struct slot *slot = &s->slots[i];
        if (slot->id != 0 && slot->back && slot->attempt == attempt) {
            slot->attempt = 0; /* the ladder knows already, and the next one counts anew */
            if (!slot->ready)
                sh_session_drop_slot(slot, SH_OK);
            return;
        }
    }
    s->ops->cancel(attempt, s->user);
}

static void call_failed(int kind SH_UNUSED, enum sh_cause cause, void *user SH_UNUSED)
{
    sh_log("session: the secondary cannot be called either: %s", sh_cause_info(cause)->name);
}

static const struct sh_ladder_ops call_ops = {
    .dial = call_dial, .cancel = call_cancel, .failed = call_failed};

bool sh_session_calls(const struct sh_session *s)
{
    unsigned rank = 0;
    return s->ops->dial && !s->direct && sh_session_kind_allowed(s, LAN, &rank);
}

static void end_calls(struct sh_session *s)
{
    struct sh_ladder *calls = s->calls;
    s->calls = NULL;
    if (calls)
        sh_ladder_taken(calls, LAN, sh_session_now(s));
    sh_ladder_free(calls);
}

static bool has_lan(const struct sh_session *s)
{
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        const struct slot *slot = &s->slots[i];
        if (slot->id != 0 && slot->kind == LAN && slot->given && !slot->gone &&
            (!slot->back || slot->used))
            return true;
    }
    return false;
}

static enum sh_cause begin_calls(struct sh_session *s, struct sh_back_offer *offer)
{
    static const int kinds[] = {LAN};
    Simhop__LinkOffer *list[] = {&offer->base};
    Simhop__LinkOffers offers = SIMHOP__LINK_OFFERS__INIT;
    uint64_t seed = 0;
    offers.n_offers = SH_COUNT(list);
    offers.offers = list;
    SH_TRY(sh_random((uint8_t *)&seed, sizeof(seed)));
    end_calls(s);
    s->call_sets++;
    SH_TRY(sh_ladder_new(kinds, SH_COUNT(kinds), seed, &call_ops, s, &s->calls));
    sh_ladder_limit(s->calls, SH_BACK_ROUNDS);
    sh_log("session: the secondary is called, %zu addresses", offer->base.n_addresses);
    return sh_ladder_offers(s->calls, &offers, sh_session_now(s));
}

/* What this machine offers by LAN itself; false: nothing. */
static bool own_offer(const struct sh_session *s, Simhop__LinkOffer *ret)
{
    Simhop__LinkOffer offers[SH_SESSION_KINDS];
    for (size_t i = 0; i < SH_COUNT(offers); i++)
        simhop__link_offer__init(&offers[i]);
    size_t count = s->ops->offers(offers, SH_COUNT(offers), s->user);
    for (size_t i = 0; i < count; i++) {
        if (offers[i].kind == LAN) {
            *ret = offers[i];
            return true;
        }
    }
    return false;
}

enum sh_cause sh_session_on_back_offers(struct sh_session *s, struct slot *slot SH_UNUSED,
                                        struct sh_bytes payload)
{
    SH_CLEANUP(sh_msg_freep) ProtobufCMessage *message = NULL;
    Simhop__LinkOffer own;
    struct sh_back_offer offer;
    SH_TRY(sh_msg_unpack(SH_MSG_LINK_OFFERS, payload, &message));
    SH_TRY(sh_back_read((const Simhop__LinkOffers *)message, own_offer(s, &own) ? &own : NULL,
                        s->config.here, &offer));
    /* It may have crossed what makes it needless. */
    if (s->stage != STAGE_TRANSFER || !sh_session_calls(s) || has_lan(s) ||
        s->call_sets >= SH_BACK_SETS || offer.base.n_addresses == 0)
        return SH_OK;
    return begin_calls(s, &offer);
}

void sh_session_call_failed(struct sh_session *s, unsigned attempt, enum sh_cause cause)
{
    if (s->calls)
        sh_ladder_down(s->calls, attempt, cause, sh_session_now(s));
}

void sh_session_calls_over(struct sh_session *s, const struct slot *slot)
{
    if (slot->kind == LAN && !slot->back)
        end_calls(s);
}

void sh_session_told_up(struct sh_session *s, int kind)
{
    if (kind == LAN)
        end_calls(s);
}

/* Before it has the lane it sends a greeting and two pings. */
void sh_session_note_called(struct sh_session *s, struct slot *slot, unsigned type)
{
    if (s->config.role != SH_ANCHOR || !slot->back || slot->used || type == SH_MSG_LINK_HELLO)
        return;
    if (type == SH_MSG_PING && slot->pongs < 2) {
        slot->pongs++;
        slot->padded = sh_session_now(s);
        return;
    }
    slot->used = true;
    sh_log("session: a link of kind %d is up: we called", slot->kind);
    end_calls(s);
}

bool sh_session_is_black_hole(const struct sh_session *s, const struct slot *slot)
{
    return s->config.role == SH_ANCHOR && slot->back && !slot->used && slot->pongs == 1 &&
           sh_session_now(s) >= slot->padded + AWAITED_MS;
}

/* One that answered the small ping, and never became a link: the secondary takes none that loses the full-size one. */
static enum sh_cause call_cause(const struct slot *was)
{
    bool lost = sh_cause_info(was->gone_cause)->category == SH_CAT_NO_LINK;
    return lost && was->pongs > 0 && !was->used ? SH_LINK_MTU : was->gone_cause;
}

/* ---- Both ---- */

void sh_session_back_gone(struct sh_session *s, const struct slot *was, enum sh_cause verdict)
{
    if (was->back && s->calls)
        sh_session_call_failed(s, was->attempt, call_cause(was));
    if (!s->ladder || was->kind != LAN || !was->given)
        return;
    sh_back_down(&s->back);
    if (was->back)
        sh_session_attempt_down(s, 0, verdict);
}

void sh_session_back_end(struct sh_session *s)
{
    if (sh_back_is_open(&s->back)) {
        sh_back_give_up(&s->back, sh_session_now(s));
        close_door(s);
    }
    end_calls(s);
}
