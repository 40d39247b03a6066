/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A direct session: devices that are linked go on over a network, with their certificates and nothing before them. No greeting, no
 * nearness, no samples; what the channel exports stands for the transcript. The token is used as it is, never renewed. And what
 * makes it possible: the addresses that the anchor was last reached at.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/direct.h"
#include "cli/session_internal.h"
#include "proto/log.h"

static enum sh_cause begin(struct sh_session *s, struct sh_lane *lane)
{
    bool anchor = s->config.role == SH_ANCHOR;
    SH_TRY(sh_channel_export_direct(sh_lane_channel(lane), s->result.transcript));
    SH_TRY(anchor ? sh_session_check_returning(s, lane) : sh_direct_check(&s->reconnect_to, lane));
    if (s->config.policy == SH_POLICY_STRICT)
        return sh_fail(SH_NEAR_DEMANDED, "%s: a session without nearness", s->result.peer_name);
    if (s->config.shares_nothing)
        return SH_CALIBRATE_ONLY;
    if (anchor) /* the phase begins when something is asked for: it may be a doctor who only looks whether we can be reached */
        return SH_OK;
    s->ops->phase(SH_PHASE_ENROL, s->result.peer_name[0] ? s->result.peer_name : NULL, s->user);
    return sh_session_ask_enrolment(s, lane);
}

enum sh_cause sh_session_new_direct(const struct sh_session_config *config,
                                    const struct sh_session_ops *ops, void *user, int kind,
                                    struct sh_lane *lane, enum sh_cause refusal,
                                    struct sh_session **ret_session)
{
    struct sh_session *s = sh_session_make(config, ops, user);
    if (!s)
        return SH_ENV_NO_MEMORY;
    s->direct = true;
    TRACE(s, SESSION, true, true);
    s->result.reconnect = true;
    if (config->reconnect_to &&
        !sh_strcopy(s->result.peer_name, sizeof(s->result.peer_name), s->reconnect_to.name))
        s->result.peer_name[0] = '\0';
    enum sh_cause cause = sh_session_take_first(s, kind, lane);
    if (cause != SH_OK) {
        sh_session_free(s);
        return cause;
    }
    s->stage = STAGE_ENROL;
    s->deadline = sh_session_now(s) + ENROL_MS;
    cause = refusal != SH_OK ? refusal : begin(s, lane);
    if (cause != SH_OK) /* told inside the channel; after() of the lane says it to our owner */
        sh_session_end(s, cause);
    *ret_session = s;
    return SH_OK;
}

/* ---- Offers ---- */

static bool take_addresses(const Simhop__LinkOffer *offer, struct sh_addresses *addresses)
{
    if (offer->kind != SIMHOP__LINK_KIND__LINK_KIND_LAN || offer->port == 0 ||
        offer->port > UINT16_MAX)
        return false;
    addresses->port = (uint16_t)offer->port;
    for (size_t i = 0; i < offer->n_addresses && addresses->count < SH_ADDRESSES_MAX; i++) {
        const ProtobufCBinaryData *from = &offer->addresses[i];
        if (from->len != 4 && from->len != 16)
            continue;
        struct sh_address *to = &addresses->list[addresses->count++];
        memcpy(to->bytes, from->data, from->len);
        to->len = from->len;
    }
    return addresses->count > 0;
}

static bool is_same(const struct sh_addresses *a, const struct sh_addresses *b)
{
    return a->port == b->port && a->count == b->count &&
           memcmp(a->list, b->list, sizeof(a->list)) == 0;
}

/* A sync without them works all the same, so nothing ends for it. */
void sh_session_keep_addresses(struct sh_session *s, const Simhop__LinkOffers *offers)
{
    for (size_t i = 0; i < offers->n_offers; i++) {
        struct sh_addresses addresses = {0}, known;
        memcpy(addresses.id, s->peer.id, sizeof(addresses.id));
        if (!take_addresses(offers->offers[i], &addresses))
            continue;
        if (sh_registry_get_addresses(s->config.registry, addresses.id, &known) == SH_OK &&
            is_same(&known, &addresses))
            continue; /* the usual case: nothing to write */
        if (sh_registry_put_addresses(s->config.registry, &addresses) != SH_OK)
            sh_log("session: the addresses could not be kept: %s", sh_detail());
    }
}

/* The first lane is the network already; the ladder would take it for a link that is not tried yet. */
bool sh_session_hold_offers(struct sh_session *s, struct sh_bytes payload)
{
    if (!s->direct || !sh_session_first_is_up(s))
        return false;
    uint8_t *copy = malloc(payload.n + 1);
    if (!copy)
        return false;
    if (payload.n > 0)
        memcpy(copy, payload.p, payload.n);
    free(s->waiting);
    s->waiting = copy;
    s->waiting_n = payload.n;
    return true;
}

void sh_session_release_offers(struct sh_session *s)
{
    SH_CLEANUP(sh_msg_freep) ProtobufCMessage *message = NULL;
    sh_autofree uint8_t *held = s->waiting;
    s->waiting = NULL;
    if (!held)
        return;
    enum sh_cause cause = sh_msg_unpack(SH_MSG_LINK_OFFERS, SH_BYTES(held, s->waiting_n), &message);
    if (cause == SH_OK)
        cause = sh_session_take_offers(s, (const Simhop__LinkOffers *)message);
    if (cause != SH_OK)
        s->fatal = cause;
}
