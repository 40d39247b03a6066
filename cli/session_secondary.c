/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The secondary's half: it asks to be enrolled, keeps its token, tries links and pulls. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/session_internal.h"
#include "proto/log.h"
#include "transfer/store_list.h"

#define OLDER_PART 16 /* of an item: older copies that have less are not compared with it */

static int64_t mtime_ns(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

enum sh_cause sh_session_ask_enrolment(struct sh_session *s, struct sh_lane *lane)
{
    sh_autofree uint8_t *csr = NULL;
    Simhop__EnrolRequest request = SIMHOP__ENROL_REQUEST__INIT;
    Simhop__Device device;
    char name[SH_NAME_MAX + 1], eid[33];
    simhop__device__init(&device);
    if (!sh_strcopy(name, sizeof(name), s->config.name) ||
        !sh_strcopy(eid, sizeof(eid), s->config.eid))
        return SH_INTERNAL_BUG;
    request.transcript = (ProtobufCBinaryData){32, s->result.transcript};
    device.name = name;
    device.eid = eid;
    device.kind = (Simhop__DeviceKind)s->config.device_kind;
    if (!s->result.reconnect) {
        SH_TRY(sh_csr_new(s->config.identity->key, &csr, &request.csr.len));
        request.csr.data = csr;
        request.device = &device;
    }
    return sh_lane_send(lane, SH_MSG_ENROL_REQUEST, &request.base);
}

/* ---- Enrolment ---- */

/* The token is for our key and from the CA that came with it; the anchor's key is the one of its device id. */
static enum sh_cause check_reply(struct sh_session *s, const Simhop__EnrolReply *reply)
{
    const Simhop__DeviceToken *token = reply->token;
    uint8_t id[SH_DEVICE_ID_SIZE];
    if (!token || !reply->anchor || reply->resolving_key.len != SH_RESOLVING_KEY_SIZE)
        return sh_fail(SH_PROTO_MALFORMED, "enrol-reply");
    SH_TRY(sh_cert_from_der(SH_BYTES(token->certificate.data, token->certificate.len), &s->token));
    SH_TRY(
        sh_cert_from_der(SH_BYTES(token->ca_certificate.data, token->ca_certificate.len), &s->ca));
    SH_TRY(sh_cert_check_token(s->token, s->ca, s->config.identity->key, sh_session_wall(s)));
    const ProtobufCBinaryData *key = &reply->anchor->public_key;
    if (key->len == 0 || key->len > sizeof(s->peer.public_key))
        return sh_fail(SH_PROTO_MALFORMED, "enrol-reply: public key");
    struct sh_bytes piece = SH_BYTES(key->data, key->len);
    uint8_t digest[32];
    SH_TRY(sh_sha256(&piece, 1, digest));
    memcpy(id, digest, sizeof(id));
    if (memcmp(id, s->result.peer_id, sizeof(id)) != 0)
        return sh_fail(SH_TLS_BAD_CERTIFICATE, "the anchor's key is not that of its identity");
    return SH_OK;
}

static enum sh_cause keep_anchor(struct sh_session *s, const Simhop__EnrolReply *reply)
{
    struct sh_device *peer = &s->peer;
    const Simhop__DeviceToken *token = reply->token;
    struct sh_device old = {0};
    *peer = (struct sh_device){.relation = SH_DEVICE_IS_ANCHOR,
                               .state = SH_DEVICE_AUTHORISED,
                               .kind = (int)reply->anchor->kind,
                               .linked_at = sh_session_wall(s),
                               .last_seen = sh_session_wall(s),
                               .epoch = token->epoch,
                               .public_key_len = reply->anchor->public_key.len,
                               .token_len = token->certificate.len,
                               .ca_len = token->ca_certificate.len};
    sh_device_set_proximity(peer, &s->result.proximity, s->config.policy);
    memcpy(peer->id, s->result.peer_id, sizeof(peer->id));
    if (!sh_strcopy(peer->name, sizeof(peer->name), s->result.peer_name))
        return SH_INTERNAL_BUG;
    memcpy(peer->public_key, reply->anchor->public_key.data, peer->public_key_len);
    memcpy(peer->token, token->certificate.data, peer->token_len);
    memcpy(peer->ca, token->ca_certificate.data, peer->ca_len);
    memcpy(peer->resolving_key, reply->resolving_key.data, sizeof(peer->resolving_key));
    SH_TRY(sh_cert_serial(s->token, peer->serial));
    SH_TRY(sh_cert_not_after(s->token, &peer->not_after));
    /* Linked anew: what it gave us before still counts as older. */
    if (sh_registry_get_device(s->config.registry, peer->id, SH_DEVICE_IS_ANCHOR, &old) == SH_OK)
        peer->last_revision = old.last_revision;
    return sh_registry_put_device(s->config.registry, peer);
}

/* ---- What the puller asks for ---- */

static enum sh_cause puller_send(sh_link_id link, unsigned type, const ProtobufCMessage *message,
                                 void *user)
{
    struct sh_session *s = user;
    struct slot *slot = sh_session_slot(s, link);
    enum sh_cause cause = slot ? sh_lane_send(slot->lane, type, message) : SH_CONNECT_LOST;
    if (cause != SH_OK && slot)
        sh_session_drop_slot(slot, cause);
    s->said = sh_session_now(s);
    return cause;
}

static void puller_drop_link(sh_link_id link, enum sh_cause cause, void *user)
{
    struct slot *slot = sh_session_slot(user, link);
    if (slot)
        sh_session_drop_slot(slot, cause);
}

/* Where an item becomes a file. False: too long. */
static bool target_of(const struct sh_session *s, const struct sh_puller_item *item, char *ret,
                      size_t size)
{
    int n = snprintf(ret, size, "%s/%s", s->config.dir, item->name);
    return item->kind == SIMHOP__ITEM_KIND__ITEM_KIND_FILE && n >= 0 && (size_t)n < size;
}

/* Received before, and the file is as it was left? */
static bool puller_have(struct sh_puller_item *item, void *user)
{
    struct sh_session *s = user;
    struct sh_received received;
    struct stat st;
    char want[4096];
    if (!target_of(s, item, want, sizeof(want)) ||
        sh_registry_get_received(s->config.registry, item->id, &received) != SH_OK)
        return false;
    if (strcmp(received.path, want) != 0 || received.size != item->size || stat(want, &st) != 0 ||
        !S_ISREG(st.st_mode) || (uint64_t)st.st_size != item->size ||
        mtime_ns(&st) != received.mtime_ns)
        return false;
    item->path = strdup(want);
    memcpy(item->root, received.root, sizeof(item->root));
    memcpy(item->sha256, received.sha256, sizeof(item->sha256));
    return item->path != NULL;
}

/* Is what stands under the item's name an earlier one of the same anchor, and untouched since? Then the new one may take its
 * place, as people expect who sync a file that changed. */
static bool is_earlier(const struct sh_session *s, const struct sh_puller_item *item)
{
    struct sh_received earlier;
    struct stat st;
    char want[4096];
    return target_of(s, item, want, sizeof(want)) && lstat(want, &st) == 0 && S_ISREG(st.st_mode) &&
           sh_registry_find_received(s->config.registry, s->peer.id, want, (uint64_t)st.st_size,
                                     mtime_ns(&st), &earlier) == SH_OK;
}

static enum sh_cause puller_store(const struct sh_puller_item *item, struct sh_store **ret_store,
                                  bool *ret_replace, void *user)
{
    struct sh_session *s = user;
    bool bundle = item->kind == SIMHOP__ITEM_KIND__ITEM_KIND_BUNDLE;
    struct sh_store **store = bundle ? &s->incoming : &s->store;
    if (bundle && item->size > SH_BUNDLE_MAX)
        return SH_BUNDLE_TOO_LARGE;
    if (!*store) {
        SH_TRY(sh_store_open(bundle ? s->config.incoming_dir : s->config.dir, store));
        sh_store_in_background(*store, s->config.worker, s->config.syncer);
    }
    bool earlier = !bundle && is_earlier(s, item);
    if (earlier && s->ops->changed)
        s->ops->changed(item->name, SH_CHANGE_REPLACES, s->user);
    *ret_store = *store;
    *ret_replace = bundle || earlier;
    return SH_OK;
}

/* To compare, the anchor reads all of its item first, and nothing comes meanwhile: for a little that may be the same it does not. */
static bool is_worth(const struct sh_puller_item *item, char *const paths[SH_STORE_OLDER])
{
    uint64_t octets = 0;
    for (size_t i = 0; i < SH_STORE_OLDER; i++)
        octets += paths[i] ? sh_store_older_octets(paths[i]) : 0;
    return octets >= item->size / OLDER_PART;
}

/* The earlier one that is to be replaced, and pieces of another state of the source that was cut off. *ret_cut_off: only these. */
static enum sh_cause find_older(const struct sh_session *s, const struct sh_puller_item *item,
                                char *paths[SH_STORE_OLDER], bool *ret_cut_off)
{
    sh_autofree struct sh_transfer *begun = malloc(sizeof(*begun));
    char want[4096];
    size_t n = 0;
    if (!begun)
        return SH_ENV_NO_MEMORY;
    if (is_earlier(s, item) && target_of(s, item, want, sizeof(want))) {
        paths[n++] = strdup(want);
        if (!paths[0])
            return SH_ENV_NO_MEMORY;
    }
    if (item->kind != SIMHOP__ITEM_KIND__ITEM_KIND_FILE ||
        sh_registry_find_transfer(s->config.registry, s->peer.id, item->name, s->config.dir,
                                  item->id, begun) != SH_OK)
        return SH_OK;
    *ret_cut_off = n == 0;
    return sh_store_part_path(begun->dir, begun->item_id, &paths[n]);
}

static enum sh_cause puller_older(const struct sh_puller_item *item, char *paths[SH_STORE_OLDER],
                                  void *user)
{
    const struct sh_session *s = user;
    bool cut_off = false;
    SH_TRY(find_older(s, item, paths, &cut_off));
    bool worth = is_worth(item, paths);
    if (cut_off && s->ops->changed)
        s->ops->changed(item->name, worth ? SH_CHANGE_GOES_ON : SH_CHANGE_ANEW, s->user);
    for (size_t i = 0; i < SH_STORE_OLDER && !worth; i++) {
        free(paths[i]);
        paths[i] = NULL;
    }
    return SH_OK;
}

static void puller_progress(uint32_t index SH_UNUSED, const struct sh_puller_item *item,
                            sh_link_id link, void *user)
{
    struct sh_session *s = user;
    const struct slot *slot = sh_session_slot(s, link);
    struct sh_session_progress progress = {.item = item->name,
                                           .verified = item->verified,
                                           .total = item->size,
                                           .link = slot ? slot->kind : 0};
    s->ops->progress(&progress, s->user);
}

static bool received_of(const struct sh_session *s, const struct sh_puller_item *item,
                        struct sh_received *ret)
{
    *ret = (struct sh_received){.size = item->size, .mtime_ns = item->mtime_ns};
    memcpy(ret->item_id, item->id, sizeof(ret->item_id));
    memcpy(ret->anchor_id, s->peer.id, sizeof(ret->anchor_id));
    memcpy(ret->root, item->root, sizeof(ret->root));
    memcpy(ret->sha256, item->sha256, sizeof(ret->sha256));
    return item->kind == SIMHOP__ITEM_KIND__ITEM_KIND_FILE &&
           sh_strcopy(ret->path, sizeof(ret->path), item->path);
}

/* Before the file appears: were we killed in between, the next sync would take it for somebody else's. And what it is to replace may
 * have been touched since. */
static enum sh_cause puller_finishing(uint32_t index SH_UNUSED, const struct sh_puller_item *item,
                                      void *user)
{
    const struct sh_session *s = user;
    struct sh_received received;
    struct stat st;
    if (!received_of(s, item, &received))
        return SH_OK; /* a bundle; or too long to be found again: a later sync may send it again */
    if (lstat(received.path, &st) == 0 && !is_earlier(s, item))
        return sh_fail(SH_STORE_TARGET_EXISTS, "%s", received.path);
    return sh_registry_put_received(s->config.registry, &received);
}

static enum sh_cause puller_finished(uint32_t index SH_UNUSED, struct sh_puller_item *item,
                                     void *user)
{
    struct sh_session *s = user;
    char *kept = NULL;
    struct sh_received received;
    if (received_of(s, item, &received) && item->mtime_ns != 0)
        return sh_registry_settle_received(s->config.registry, &received);
    if (item->kind != SIMHOP__ITEM_KIND__ITEM_KIND_BUNDLE)
        return SH_OK;
    SH_TRY(sh_session_accept_bundle(s, item->path, &kept));
    free(item->path);
    item->path = kept;
    return SH_OK;
}

static enum sh_cause puller_sign(struct sh_bytes part, uint8_t **ret_signature, size_t *ret_len,
                                 void *user)
{
    const struct sh_session *s = user;
    return sh_sign(s->config.identity->key, "simhop1 receipt", part, ret_signature, ret_len);
}

static enum sh_cause say_done(struct sh_session *s)
{
    size_t count = sh_puller_item_count(s->puller);
    sh_autofree struct sh_session_item *items = calloc(count + 1, sizeof(*items));
    if (!items)
        return SH_ENV_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        const struct sh_puller_item *item = sh_puller_item(s->puller, i);
        items[i] = (struct sh_session_item){.name = item->name,
                                            .kind = item->kind,
                                            .size = item->size,
                                            .has_sha256 = true,
                                            .path = item->path};
        memcpy(items[i].sha256, item->sha256, sizeof(items[i].sha256));
    }
    struct sh_session_summary summary = {
        .items = items, .item_count = count, .resumed = sh_puller_resumed(s->puller)};
    for (int kind = 0; kind < SH_SESSION_KINDS; kind++)
        summary.link_bytes[kind] = sh_puller_bytes(s->puller, kind);
    s->ops->done(&summary, s->user);
    return SH_OK;
}

static void puller_done(enum sh_cause cause, void *user)
{
    struct sh_session *s = user;
    if (cause == SH_OK)
        cause = say_done(s);
    TRACE(s, OVER, (int64_t)cause);
    sh_session_end(s, sh_paths_end(&s->paths, cause));
}

static void puller_disk_waits(void *user)
{
    struct sh_session *s = user;
    if (s->ops->disk_waits)
        s->ops->disk_waits(s->user);
}

static void puller_anchor_reads(const struct sh_puller_item *item, uint64_t octets, void *user)
{
    struct sh_session *s = user;
    if (s->ops->anchor_reads)
        s->ops->anchor_reads(item->name, octets, item->size, s->user);
}

static const struct sh_puller_ops puller_ops = {
    .send = puller_send,
    .drop_link = puller_drop_link,
    .have = puller_have,
    .store = puller_store,
    .older = puller_older,
    .disk_waits = puller_disk_waits,
    .anchor_reads = puller_anchor_reads,
    .progress = puller_progress,
    .finishing = puller_finishing,
    .finished = puller_finished,
    .sign = puller_sign,
    .done = puller_done,
};

/* ---- Links ---- */

static void ladder_dial(const struct sh_attempt *attempt, void *user)
{
    struct sh_session *s = user;
    TRACE_AT(s, s->asked_at, DIAL, attempt->id, attempt->kind, attempt->address_len == 16,
             attempt->segment);
    sh_session_note_dial(s, attempt->kind);
    s->ops->dial(attempt, s->user);
}

static void ladder_cancel(unsigned attempt, void *user)
{
    struct sh_session *s = user;
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        if (s->slots[i].id != 0 && s->slots[i].attempt == attempt) {
            s->slots[i].attempt = 0; /* the ladder knows already */
            (void)sh_session_path_note_slot(s, &s->slots[i], SH_LINK_TIMEOUT);
            sh_session_drop_slot(&s->slots[i], SH_OK);
            return;
        }
    }
    s->ops->cancel(attempt, s->user);
}

static void ladder_failed(int kind, enum sh_cause cause, void *user)
{
    struct sh_session *s = user;
    s->look_at = 0;
    sh_paths_given_up(&s->paths, kind, cause, sh_session_now(s));
}

static const struct sh_ladder_ops ladder_ops = {
    .dial = ladder_dial, .cancel = ladder_cancel, .failed = ladder_failed};

enum sh_cause sh_session_on_link_offers(struct sh_session *s, struct slot *slot SH_UNUSED,
                                        struct sh_bytes payload)
{
    SH_CLEANUP(sh_msg_freep) ProtobufCMessage *message = NULL;
    SH_TRY(sh_msg_unpack(SH_MSG_LINK_OFFERS, payload, &message));
    const Simhop__LinkOffers *offers = (const Simhop__LinkOffers *)message;
    sh_session_keep_addresses(s, offers);
    if (sh_session_hold_offers(s, payload))
        return SH_OK;
    sh_session_expect_links(s);
    sh_session_note_offers(s, offers);
    return sh_session_take_offers(s, offers);
}

static enum sh_cause start_transfer(struct sh_session *s, struct slot *slot)
{
    sh_ms now = sh_session_now(s);
    /* Both nonces are in it, so sessions differ; two octets of it are chance enough, and tell nothing of the rest where they are
     * recorded. */
    uint64_t seed = (uint64_t)s->result.transcript[0] << 8 | s->result.transcript[1];
    SH_TRY(sh_session_derive_link_psk(s, slot->lane));
    sh_store_sweep(s->config.dir, false);
    sh_store_sweep(s->config.incoming_dir, true);
    SH_TRY(sh_puller_new(&puller_ops, s, now, &s->puller));
    SH_TRY(sh_ladder_new(s->config.links, s->config.link_count, seed, &ladder_ops, s, &s->ladder));
    s->said = now;
    sh_session_trace_transfer(s, seed);
    s->ops->phase(SH_PHASE_LINK, s->result.peer_name, s->user);
    sh_session_go(s, STAGE_TRANSFER, SH_NEVER);
    s->ops->phase(SH_PHASE_TRANSFER, s->result.peer_name, s->user);
    sh_session_expect_links(s);
    sh_session_give(s, slot);
    return SH_OK;
}

enum sh_cause sh_session_on_enrol_reply(struct sh_session *s, struct slot *slot,
                                        struct sh_bytes payload)
{
    SH_CLEANUP(sh_msg_freep) ProtobufCMessage *message = NULL;
    SH_TRY(sh_msg_unpack(SH_MSG_ENROL_REPLY, payload, &message));
    const Simhop__EnrolReply *reply = (const Simhop__EnrolReply *)message;
    if (reply->transcript.len != 32 || !sh_equal(reply->transcript.data, s->result.transcript, 32))
        return SH_CONFIRM_WRONG_TRANSCRIPT;
    if (s->result.reconnect) {
        s->peer = s->reconnect_to;
        sh_registry_seen(s->config.registry, s->peer.id, SH_DEVICE_IS_ANCHOR, sh_session_wall(s));
    } else {
        SH_TRY(check_reply(s, reply));
        SH_TRY(keep_anchor(s, reply));
    }
    return start_transfer(s, slot);
}

static bool is_bluetooth_alone(const struct sh_session *s)
{
    for (size_t i = 1; i < SLOTS_MAX; i++) {
        if (s->slots[i].id != 0)
            return false;
    }
    return s->slots[0].kind == SIMHOP__LINK_KIND__LINK_KIND_BLE && sh_session_first_is_up(s) &&
           !sh_ladder_trying(s->ladder);
}

/* Hours are refused rather than begun: nobody stands beside two devices so long, and a network would take minutes. */
static void check_bluetooth(struct sh_session *s, sh_ms now)
{
    uint64_t moved = sh_puller_bytes(s->puller, SIMHOP__LINK_KIND__LINK_KIND_BLE);
    uint64_t left = sh_puller_left(s->puller), rate = BLE_RATE;
    if (!is_bluetooth_alone(s)) {
        s->alone = 0;
        return;
    }
    if (s->alone == 0) {
        s->alone = now;
        s->alone_bytes = moved;
    }
    sh_ms alone = now - s->alone;
    if (s->config.link_count > 1 && alone < LINKS_MS)
        return; /* another one may be offered yet */
    if (alone >= LINKS_MS && moved > s->alone_bytes)
        rate = SH_MAX((moved - s->alone_bytes) * 1000 / alone, 1);
    if (left / rate <= BLE_LONGEST_S)
        return;
    sh_session_end(s, sh_fail(SH_LINK_TOO_LARGE_FOR_BLUETOOTH,
                              "%" PRIu64 " MiB are left, about %" PRIu64 " hours at %" PRIu64
                              " kB a second",
                              left >> 20, (left / rate + 1800) / 3600, rate / 1000));
}

static void keepalive(struct sh_session *s, sh_ms now)
{
    struct slot *slot = sh_session_any_lane(s);
    Simhop__Ping ping = SIMHOP__PING__INIT;
    if (!slot || now < s->said + KEEPALIVE_MS)
        return;
    s->said = now;
    if (sh_lane_send(slot->lane, SH_MSG_PING, &ping.base) != SH_OK)
        sh_session_drop_slot(slot, SH_CONNECT_LOST);
}

sh_ms sh_session_secondary_tick(struct sh_session *s)
{
    sh_session_note_begun(s);
    sh_ms now = sh_session_now(s);
    sh_ms links = sh_session_ask_ladder(s, now), pieces = sh_puller_tick(s->puller, now);
    sh_session_trace_moved(s);
    keepalive(s, now);
    sh_session_back_tick(s);
    sh_ms views = sh_session_path_tick(s, now);
    s->look_at = SH_MIN(s->look_at, SH_MIN(links, views));
    check_bluetooth(s, now);
    return SH_MIN(links, pieces);
}

uint64_t sh_session_verified(const struct sh_session *s)
{
    uint64_t sum = 0;
    for (int kind = 0; s->puller && kind < SH_SESSION_KINDS; kind++)
        sum += sh_puller_bytes(s->puller, kind);
    return sum;
}

void sh_session_secondary_free(struct sh_session *s)
{
    sh_puller_free(s->puller);
    sh_ladder_free(s->ladder);
    sh_store_close(s->store);
    sh_store_close(s->incoming);
    s->puller = NULL;
    s->ladder = NULL;
    s->store = s->incoming = NULL;
}
