/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The anchor's half: whom it enrols, what it issues, how it serves and keeps the receipt. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/session_internal.h"
#include "proto/log.h"
#include "proto/text.h"

#define OFFERS_MAX 4

enum sh_cause sh_session_anchor_up(struct sh_session *s, struct sh_lane *lane)
{
    enum sh_cause cause = s->result.reconnect ? sh_session_check_returning(s, lane) : SH_OK;
    if (cause == SH_OK)
        return sh_session_send_samples(s, lane);
    /* Inside the channel, so that the device learns the reason and not just a broken line. */
    sh_session_end(s, cause);
    return SH_OK;
}

static enum sh_cause fill_peer(struct sh_session *s, const Simhop__Device *device,
                               const struct sh_issued *issued)
{
    struct sh_device *peer = &s->peer;
    sh_autofree uint8_t *public_key = NULL;
    *peer = (struct sh_device){.relation = SH_DEVICE_IS_SECONDARY,
                               .state = SH_DEVICE_AUTHORISED,
                               .linked_at = sh_session_wall(s),
                               .last_seen = sh_session_wall(s),
                               .not_after = issued->not_after};
    sh_device_set_proximity(peer, &s->result.proximity, s->config.policy);
    if (!sh_text_is_clean(device->name, SH_NAME_MAX) || !sh_text_is_clean(device->eid, 32) ||
        !sh_strcopy(peer->name, sizeof(peer->name), s->result.peer_name) ||
        !sh_strcopy(peer->eid, sizeof(peer->eid), device->eid))
        return sh_fail(SH_PROTO_MALFORMED, "enrol-request: device");
    peer->kind = (int)device->kind;
    memcpy(peer->id, issued->device_id, sizeof(peer->id));
    memcpy(peer->serial, issued->serial, sizeof(peer->serial));
    SH_TRY(sh_cert_public_key(issued->cert, &public_key, &peer->public_key_len));
    if (peer->public_key_len > sizeof(peer->public_key))
        return SH_PROTO_MALFORMED;
    memcpy(peer->public_key, public_key, peer->public_key_len);
    return SH_OK;
}

/* The anchor as the bundle and the reply show it. */
struct anchor_parts {
    Simhop__Device device;
    uint8_t id[SH_DEVICE_ID_SIZE];
    char name[SH_NAME_MAX + 1];
    uint8_t *key;
};

static void anchor_parts_clear(struct anchor_parts *parts)
{
    free(parts->key);
}

static enum sh_cause fill_anchor(const struct sh_session *s, struct anchor_parts *parts)
{
    size_t n = 0;
    SH_TRY(sh_cert_public_key(s->config.identity->server_cert, &parts->key, &n));
    if (!sh_strcopy(parts->name, sizeof(parts->name), s->config.name))
        return SH_INTERNAL_BUG;
    memcpy(parts->id, s->config.identity->id, sizeof(parts->id));
    simhop__device__init(&parts->device);
    parts->device.id = (ProtobufCBinaryData){sizeof(parts->id), parts->id};
    parts->device.name = parts->name;
    parts->device.kind = (Simhop__DeviceKind)s->config.device_kind;
    parts->device.public_key = (ProtobufCBinaryData){n, parts->key};
    return SH_OK;
}

struct token_parts {
    uint8_t *cert, *ca;
};

static void token_parts_clear(struct token_parts *parts)
{
    free(parts->cert);
    free(parts->ca);
}

static enum sh_cause fill_token(const struct sh_session *s, struct sh_issued *issued,
                                Simhop__DeviceToken *token, struct token_parts *parts)
{
    simhop__device_token__init(token);
    SH_TRY(sh_cert_to_der(issued->cert, &parts->cert, &token->certificate.len));
    SH_TRY(sh_cert_to_der(s->config.identity->ca_cert, &parts->ca, &token->ca_certificate.len));
    token->certificate.data = parts->cert;
    token->ca_certificate.data = parts->ca;
    token->serial = (ProtobufCBinaryData){SH_SERIAL_SIZE, issued->serial};
    token->not_before = issued->not_before;
    token->not_after = issued->not_after;
    token->renew_after = issued->renew_after;
    return SH_OK;
}

/* The shared draft, issued for this device: first item of the transfer. */
static enum sh_cause issue_bundle(struct sh_session *s, const Simhop__Device *anchor)
{
    uint64_t revision = 0;
    sh_autofree uint8_t *bytes = NULL;
    size_t n = 0;
    Simhop__Device recipient;
    Simhop__ConsentRecord consent = SIMHOP__CONSENT_RECORD__INIT;
    simhop__device__init(&recipient);
    SH_TRY(sh_registry_next_revision(s->config.registry, &revision));
    recipient.id = (ProtobufCBinaryData){SH_DEVICE_ID_SIZE, s->peer.id};
    recipient.name = s->peer.name;
    recipient.kind = (Simhop__DeviceKind)s->peer.kind;
    recipient.eid = s->peer.eid;
    consent.method = SIMHOP__CONSENT__CONSENT_CODE;
    consent.time = sh_session_wall(s);
    consent.challenge = (ProtobufCBinaryData){32, s->result.transcript};
    struct sh_bundle_issue issue = {.revision = revision,
                                    .now = sh_session_wall(s),
                                    .anchor = anchor,
                                    .recipient = &recipient,
                                    .consent = s->result.reconnect ? NULL : &consent};
    SH_TRY(sh_bundle_issue(s->config.draft, &issue, s->config.identity, &bytes, &n));
    enum sh_cause cause =
        sh_item_open_memory("bundle", SIMHOP__ITEM_KIND__ITEM_KIND_BUNDLE, SH_BYTES(bytes, n),
                            s->config.identity->id, &s->bundle_item);
    sh_wipe(bytes, n);
    SH_TRY(cause);
    return sh_registry_set_last_revision(s->config.registry, s->peer.id, SH_DEVICE_IS_SECONDARY,
                                         revision);
}

/* ---- Serving ---- */

static enum sh_cause server_send(sh_link_id link, unsigned type, const ProtobufCMessage *message,
                                 void *user)
{
    struct slot *slot = sh_session_slot(user, link);
    enum sh_cause cause = slot ? sh_lane_send(slot->lane, type, message) : SH_CONNECT_LOST;
    if (cause != SH_OK && slot)
        sh_session_drop_slot(slot, cause);
    return cause;
}

static enum sh_cause server_send_leaf(sh_link_id link, const struct sh_leaf *leaf, void *user)
{
    struct slot *slot = sh_session_slot(user, link);
    uint8_t head[SH_LEAF_OVERHEAD];
    sh_leaf_head(leaf, head);
    enum sh_cause cause = slot ? sh_lane_send_binary(slot->lane, SH_MSG_LEAF,
                                                     SH_BYTES(head, sizeof(head)), leaf->data)
                               : SH_CONNECT_LOST;
    if (cause != SH_OK && slot)
        sh_session_drop_slot(slot, cause);
    return cause;
}

static size_t server_pending(sh_link_id link, void *user)
{
    const struct slot *slot = sh_session_slot(user, link);
    return slot ? sh_lane_pending(slot->lane) : 0;
}

static void server_progress(uint32_t item, uint64_t verified, uint64_t total, void *user)
{
    struct sh_session *s = user;
    const struct slot *slot = sh_session_any_lane(s);
    if (item >= s->item_count)
        return;
    struct sh_session_progress progress = {.item = sh_item_name(s->items[item]),
                                           .verified = SH_MIN(verified, total),
                                           .total = total,
                                           .link = slot ? slot->kind : 0};
    s->ops->progress(&progress, s->user);
}

static enum sh_cause say_done(struct sh_session *s)
{
    sh_autofree struct sh_session_item *items = calloc(s->item_count + 1, sizeof(*items));
    if (!items)
        return SH_ENV_NO_MEMORY;
    struct sh_session_summary summary = {.items = items, .item_count = s->item_count};
    for (size_t i = 0; i < s->item_count; i++) {
        items[i].name = sh_item_name(s->items[i]);
        items[i].kind = sh_item_kind(s->items[i]);
        items[i].size = sh_item_size(s->items[i]);
        items[i].has_sha256 = s->sha256 != NULL;
        if (s->sha256)
            memcpy(items[i].sha256, s->sha256 + i * SH_HASH_SIZE, SH_HASH_SIZE);
    }
    memcpy(summary.link_bytes, s->link_bytes, sizeof(summary.link_bytes));
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        const struct slot *slot = &s->slots[i];
        if (slot->given && slot->kind < SH_SESSION_KINDS)
            summary.link_bytes[slot->kind] += sh_server_sent(s->server, slot->id);
    }
    s->ops->done(&summary, s->user);
    return SH_OK;
}

/* A slow device hashes 64 MiB in a second, and asks for less meanwhile. */
static sh_ms hash_ms(const struct sh_session *s)
{
    return (s->total >> 26) * 1000;
}

/* It is durable: both sides may say so. */
static enum sh_cause finish(struct sh_session *s)
{
    SH_TRY(say_done(s));
    s->ops->phase(SH_PHASE_LINKED, s->result.peer_name, s->user);
    sh_session_go(s, STAGE_LINGER, sh_session_now(s) + LINGER_MS + hash_ms(s));
    sh_server_receipt_kept(s->server);
    return SH_OK;
}

/* The book's call. */
static void on_kept(enum sh_cause cause, void *user)
{
    struct sh_session *s = user;
    s->receipt_waits = false;
    if (s->stage == STAGE_OVER) /* by something else meanwhile */
        return;
    if (cause == SH_OK)
        cause = finish(s);
    if (cause != SH_OK)
        s->fatal = cause;
    sh_session_settle(s);
}

static enum sh_cause keep(struct sh_session *s, const struct sh_receipt *receipt)
{
    if (!s->config.receipts) {
        SH_TRY(sh_registry_put_receipt(s->config.registry, receipt));
        return finish(s);
    }
    SH_TRY(sh_receipts_add(s->config.receipts, receipt, on_kept, s));
    s->receipt_waits = true;
    return SH_OK;
}

/* Said beside what is signed: its root says that it is the same content. */
static enum sh_cause note_sha256(struct sh_session *s, const Simhop__Receipt *receipt)
{
    if (receipt->n_sha256 == 0)
        return SH_OK;
    s->sha256 = malloc(receipt->n_sha256 * SH_HASH_SIZE);
    if (!s->sha256)
        return SH_ENV_NO_MEMORY;
    for (size_t i = 0; i < receipt->n_sha256; i++)
        memcpy(s->sha256 + i * SH_HASH_SIZE, receipt->sha256[i].data, SH_HASH_SIZE);
    return SH_OK;
}

static enum sh_cause server_receipt(const Simhop__Receipt *receipt, void *user)
{
    struct sh_session *s = user;
    sh_autofree uint8_t *roots = malloc(receipt->n_roots * SH_HASH_SIZE + 1);
    sh_autofree uint8_t *part = NULL;
    size_t n = 0;
    if (!roots)
        return SH_ENV_NO_MEMORY;
    for (size_t i = 0; i < receipt->n_roots; i++)
        memcpy(roots + i * SH_HASH_SIZE, receipt->roots[i].data, SH_HASH_SIZE);
    SH_TRY(sh_receipt_signed_part(s->transfer_id, roots, receipt->n_roots, &part, &n));
    SH_TRY(sh_verify(SH_BYTES(s->peer.public_key, s->peer.public_key_len), "simhop1 receipt",
                     SH_BYTES(part, n), SH_BYTES(receipt->signature.data, receipt->signature.len)));
    struct sh_receipt kept = {.time = sh_session_wall(s),
                              .roots = SH_BYTES(roots, receipt->n_roots * SH_HASH_SIZE),
                              .signature =
                                  SH_BYTES(receipt->signature.data, receipt->signature.len)};
    memcpy(kept.transfer_id, s->transfer_id, sizeof(kept.transfer_id));
    memcpy(kept.device_id, s->peer.id, sizeof(kept.device_id));
    SH_TRY(note_sha256(s, receipt));
    return keep(s, &kept);
}

static const struct sh_server_ops server_ops = {
    .send = server_send,
    .send_leaf = server_send_leaf,
    .pending = server_pending,
    .progress = server_progress,
    .receipt = server_receipt,
};

static enum sh_cause send_offers(struct sh_session *s, struct slot *slot)
{
    Simhop__LinkOffer offers[OFFERS_MAX], *pointers[OFFERS_MAX];
    Simhop__LinkOffers message = SIMHOP__LINK_OFFERS__INIT;
    for (size_t i = 0; i < OFFERS_MAX; i++) {
        simhop__link_offer__init(&offers[i]);
        pointers[i] = &offers[i];
    }
    message.n_offers = s->ops->offers(offers, OFFERS_MAX, s->user);
    message.offers = pointers;
    message.calls = sh_session_calls(s);
    return sh_lane_send(slot->lane, SH_MSG_LINK_OFFERS, &message.base);
}

void sh_session_reoffer(struct sh_session *s)
{
    struct slot *slot = s->stage == STAGE_TRANSFER ? sh_session_any_lane(s) : NULL;
    if (!slot)
        return;
    enum sh_cause cause = send_offers(s, slot);
    if (cause != SH_OK)
        sh_session_drop_slot(slot, cause);
    sh_session_settle(s);
}

static bool peer_takes(const struct sh_session *s, int kind)
{
    for (size_t i = 0; i < s->result.peer_link_count; i++) {
        if (s->result.peer_links[i] == kind)
            return true;
    }
    return false;
}

/* A group costs both radios something: it is wanted when there is much to send, and no better link is up or may be in a moment. */
static bool is_group_wanted(const struct sh_session *s, sh_ms now)
{
    unsigned rank = 0, other = 0;
    if (!s->ops->want_group || s->group_wanted || s->total <= GROUP_WORTH ||
        !sh_session_kind_allowed(s, SIMHOP__LINK_KIND__LINK_KIND_WIFI_DIRECT, &rank) ||
        !peer_takes(s, SIMHOP__LINK_KIND__LINK_KIND_WIFI_DIRECT))
        return false;
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        const struct slot *slot = &s->slots[i];
        if (slot->id != 0 && slot->ready && !slot->gone &&
            sh_session_kind_allowed(s, slot->kind, &other) && other < rank)
            return false;
    }
    return rank == 0 || now >= s->transfer_since + SH_YIELD_MS;
}

static enum sh_cause want_group(struct sh_session *s)
{
    uint8_t seed[SH_SECRET_SIZE];
    SH_TRY(sh_hkdf_expand(&s->link_psk, "simhop1 wifi", seed, sizeof(seed)));
    s->group_wanted = true;
    s->ops->want_group(SH_BYTES(seed, sizeof(seed)), s->user);
    sh_wipe(seed, sizeof(seed));
    return SH_OK;
}

static enum sh_cause start_transfer(struct sh_session *s, struct slot *slot,
                                    const Simhop__Device *anchor)
{
    if (s->config.draft)
        SH_TRY(issue_bundle(s, anchor));
    s->items = calloc(s->config.item_count + 1, sizeof(struct sh_item *));
    if (!s->items)
        return SH_ENV_NO_MEMORY;
    if (s->bundle_item)
        s->items[s->item_count++] = s->bundle_item;
    for (size_t i = 0; i < s->config.item_count; i++)
        s->items[s->item_count++] = s->config.items[i];
    for (size_t i = 0; i < s->item_count; i++)
        s->total += sh_item_size(s->items[i]);
    SH_TRY(sh_random(s->transfer_id, sizeof(s->transfer_id)));
    SH_TRY(sh_server_new(s->items, s->item_count, s->transfer_id, &server_ops, s, &s->server));
    SH_TRY(sh_session_derive_link_psk(s, slot->lane));
    s->ops->phase(SH_PHASE_LINK, s->result.peer_name, s->user);
    sh_session_go(s, STAGE_TRANSFER, SH_NEVER);
    s->transfer_since = sh_session_now(s);
    SH_TRY(send_offers(s, slot));
    s->ops->phase(SH_PHASE_TRANSFER, s->result.peer_name, s->user);
    sh_session_give(s, slot);
    return SH_OK;
}

/* Pair: the request becomes a certificate and a row in the registry before the reply leaves. */
static enum sh_cause enrol(struct sh_session *s, const Simhop__EnrolRequest *request,
                           struct sh_issued *issued)
{
    const struct sh_identity *identity = s->config.identity;
    if (!request->device)
        return sh_fail(SH_PROTO_MALFORMED, "enrol-request: device");
    SH_TRY(sh_cert_issue(identity->ca_key, identity->ca_cert,
                         SH_BYTES(request->csr.data, request->csr.len), sh_session_wall(s),
                         issued));
    if (memcmp(issued->device_id, s->result.peer_id, SH_DEVICE_ID_SIZE) != 0)
        return sh_fail(SH_TLS_BAD_CERTIFICATE, "the request is for another device's key");
    SH_TRY(fill_peer(s, request->device, issued));
    return sh_registry_put_device(s->config.registry, &s->peer);
}

enum sh_cause sh_session_on_enrol_request(struct sh_session *s, struct slot *slot,
                                          struct sh_bytes payload)
{
    SH_CLEANUP(sh_msg_freep) ProtobufCMessage *message = NULL;
    SH_CLEANUP(sh_issued_clear) struct sh_issued issued = {0};
    SH_CLEANUP(token_parts_clear) struct token_parts parts = {0};
    SH_CLEANUP(anchor_parts_clear) struct anchor_parts anchor = {0};
    Simhop__EnrolReply reply = SIMHOP__ENROL_REPLY__INIT;
    Simhop__DeviceToken token;
    SH_TRY(sh_msg_unpack(SH_MSG_ENROL_REQUEST, payload, &message));
    const Simhop__EnrolRequest *request = (const Simhop__EnrolRequest *)message;
    if (request->transcript.len != 32 ||
        !sh_equal(request->transcript.data, s->result.transcript, 32))
        return SH_CONFIRM_WRONG_TRANSCRIPT;
    if (s->direct)
        s->ops->phase(SH_PHASE_ENROL, s->result.peer_name[0] ? s->result.peer_name : NULL, s->user);
    SH_TRY(fill_anchor(s, &anchor));
    if (!s->result.reconnect) {
        SH_TRY(enrol(s, request, &issued));
        SH_TRY(fill_token(s, &issued, &token, &parts));
        reply.token = &token;
    }
    reply.transcript = (ProtobufCBinaryData){32, s->result.transcript};
    reply.anchor = &anchor.device;
    uint8_t resolving_key[SH_RESOLVING_KEY_SIZE];
    memcpy(resolving_key, s->config.identity->resolving_key, sizeof(resolving_key));
    reply.resolving_key = (ProtobufCBinaryData){sizeof(resolving_key), resolving_key};
    SH_TRY(sh_lane_send(slot->lane, SH_MSG_ENROL_REPLY, &reply.base));
    return start_transfer(s, slot, &anchor.device);
}

enum sh_cause sh_session_on_link_state(struct sh_session *s, struct slot *slot SH_UNUSED,
                                       struct sh_bytes payload)
{
    SH_CLEANUP(sh_msg_freep) ProtobufCMessage *message = NULL;
    SH_TRY(sh_msg_unpack(SH_MSG_LINK_STATE, payload, &message));
    const Simhop__LinkState *state = (const Simhop__LinkState *)message;
    enum sh_cause cause = state->cause[0] ? sh_cause_by_name(state->cause) : SH_OK;
    if (state->up)
        sh_session_told_up(s, (int)state->kind);
    if (state->kind > SIMHOP__LINK_KIND__LINK_KIND_UNSPECIFIED &&
        (int)state->kind < SH_SESSION_KINDS)
        s->ops->link((int)state->kind,
                     state->up        ? "up"
                     : cause == SH_OK ? "down"
                                      : "failed",
                     cause, s->user);
    return SH_OK;
}

void sh_session_anchor_tick(struct sh_session *s)
{
    sh_ms now = sh_session_now(s);
    bool lanes = sh_session_usable_lanes(s) > 0;
    if (now >= s->heard + (lanes ? SILENCE_MS : SH_NO_LINK_MS)) {
        sh_session_end(s, lanes ? SH_TRANSFER_STALLED : SH_CONNECT_LOST);
        return;
    }
    if (now >= s->wanted + IDLE_MS + hash_ms(s)) {
        sh_session_end(s, sh_fail(SH_TRANSFER_STALLED, "it asks for nothing"));
        return;
    }
    if (s->calls)
        (void)sh_ladder_tick(s->calls, now);
    enum sh_cause cause = is_group_wanted(s, now) ? want_group(s) : SH_OK;
    if (cause == SH_OK)
        cause = sh_server_work(s->server, &s->work);
    if (cause != SH_OK)
        s->fatal = cause;
}

bool sh_session_waits(const struct sh_session *s)
{
    return s->server && sh_server_waits(s->server);
}

/* What the other side did not verify of it is sent again the next time; it tells how much that is. */
static void log_sent(const struct sh_session *s)
{
    uint64_t sent = 0;
    for (int kind = 0; kind < SH_SESSION_KINDS; kind++)
        sent += s->link_bytes[kind];
    sh_log("session: %" PRIu64 " octets of items were sent", sent);
}

void sh_session_anchor_free(struct sh_session *s)
{
    if (s->receipt_waits)
        sh_receipts_forget(s->config.receipts, s);
    if (s->server)
        log_sent(s);
    sh_server_free(s->server);
    free(s->sha256);
    sh_ladder_free(s->calls);
    s->server = NULL;
    s->calls = NULL;
    sh_item_freep(&s->bundle_item);
    free(s->items);
    s->items = NULL;
}
