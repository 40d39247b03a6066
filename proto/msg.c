/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "proto/msg.h"

#include <stdlib.h>
#include <string.h>

#include "proto/wire.h"

/* Unpacked structs are larger than the bytes that describe them: an empty sub-message costs two
 * octets on the wire and some two hundred in memory. */
#define SH_UNPACK_FACTOR 128
#define SH_UNPACK_BASE   4096

#define KIND(number, text, limit, in_clear, type)                                                  \
    [number] = {.name = text,                                                                      \
                .cap = (limit),                                                                    \
                .clear = (in_clear),                                                               \
                .schema = &simhop__##type##__descriptor}

static const struct sh_msg_info kinds[] = {
    KIND(SH_MSG_HELLO, "hello", 512, true, hello),
    KIND(SH_MSG_PROXIMITY, "proximity", 128, true, proximity),
    KIND(SH_MSG_CODE_READY, "code-ready", 16, true, code_ready),
    KIND(SH_MSG_PAKE_SHARE_P, "pake-share-p", 128, true, pake_share_p),
    KIND(SH_MSG_PAKE_SHARE_V, "pake-share-v", 128, true, pake_share_v),
    KIND(SH_MSG_PAKE_CONFIRM_P, "pake-confirm-p", 64, true, pake_confirm_p),
    KIND(SH_MSG_PAKE_FAILED, "pake-failed", 16, true, pake_failed),
    KIND(SH_MSG_PAKE_DONE, "pake-done", 16, true, pake_done),
    KIND(SH_MSG_ABORT, "abort", 128, true, abort),
    KIND(SH_MSG_ENROL_REQUEST, "enrol-request", 2048, false, enrol_request),
    KIND(SH_MSG_ENROL_REPLY, "enrol-reply", 4096, false, enrol_reply),
    KIND(SH_MSG_LINK_OFFERS, "link-offers", 1024, false, link_offers),
    KIND(SH_MSG_LINK_HELLO, "link-hello", 16, false, link_hello),
    KIND(SH_MSG_LINK_READY, "link-ready", 16, false, link_ready),
    KIND(SH_MSG_PING, "ping", 4352, false, ping),
    KIND(SH_MSG_PONG, "pong", 4352, false, pong),
    KIND(SH_MSG_LINK_STATE, "link-state", 128, false, link_state),
    KIND(SH_MSG_SAMPLES, "samples", 3072, false, samples),
    KIND(SH_MSG_CALIBRATE, "calibrate", 32, false, calibration),
    KIND(SH_MSG_CALIBRATED, "calibrated", 32, false, calibration),
    KIND(SH_MSG_LINK_QUERY, "link-query", 16, false, link_query),
    KIND(SH_MSG_LINK_VIEW, "link-view", 32, false, link_view),
    KIND(SH_MSG_MANIFEST_REQUEST, "manifest-request", 16, false, manifest_request),
    KIND(SH_MSG_MANIFEST, "manifest", 65536, false, manifest),
    KIND(SH_MSG_PULL, "pull", 32, false, pull),
    [SH_MSG_LEAF] = {.name = "leaf", .cap = SH_LEAF_OVERHEAD + SH_LEAF_SIZE},
    KIND(SH_MSG_ROOT_REQUEST, "root-request", 16, false, root_request),
    KIND(SH_MSG_ROOT, "root", 64, false, root),
    KIND(SH_MSG_PROGRESS, "progress", 64, false, progress),
    KIND(SH_MSG_RECEIPT, "receipt", 73728, false, receipt),
    KIND(SH_MSG_RECEIPT_ACK, "receipt-ack", 16, false, receipt_ack),
    KIND(SH_MSG_LEAF_HASHES_REQUEST, "leaf-hashes-request", 32, false, leaf_hashes_request),
    KIND(SH_MSG_LEAF_HASHES, "leaf-hashes", 16448, false, leaf_hashes),
};

const struct sh_msg_info *sh_msg_info(unsigned type)
{
    if (type >= SH_COUNT(kinds) || !kinds[type].name)
        return NULL;
    return &kinds[type];
}

unsigned sh_msg_by_name(const char *name)
{
    for (unsigned type = 0; type < SH_COUNT(kinds); type++) {
        if (kinds[type].name && strcmp(kinds[type].name, name) == 0)
            return type;
    }
    return 0;
}

enum sh_cause sh_msg_frame(unsigned type, const ProtobufCMessage *message, uint8_t **ret_frame,
                           size_t *ret_len)
{
    const struct sh_msg_info *info = sh_msg_info(type);
    if (!info || info->schema != message->descriptor)
        return sh_fail(SH_INTERNAL_BUG, "message type %u does not fit its schema", type);
    size_t n = protobuf_c_message_get_packed_size(message);
    if (n > info->cap)
        return sh_fail(SH_INTERNAL_BUG, "%s of %zu bytes is over its cap", info->name, n);
    uint8_t *frame = malloc(SH_FRAME_HEADER + n);
    if (!frame)
        return SH_ENV_NO_MEMORY;
    frame[0] = (uint8_t)type;
    frame[1] = (uint8_t)(n >> 16);
    frame[2] = (uint8_t)(n >> 8);
    frame[3] = (uint8_t)n;
    protobuf_c_message_pack(message, frame + SH_FRAME_HEADER);
    *ret_frame = frame;
    *ret_len = SH_FRAME_HEADER + n;
    return SH_OK;
}

struct budget {
    size_t left;
    bool no_memory;
};

static void *budget_alloc(void *data, size_t size)
{
    struct budget *budget = data;
    if (size > budget->left)
        return NULL;
    budget->left -= size;
    void *p = malloc(size);
    if (!p)
        budget->no_memory = true;
    return p;
}

static void budget_free(void *data SH_UNUSED, void *p)
{
    free(p);
}

enum sh_cause sh_unpack(const ProtobufCMessageDescriptor *schema, struct sh_bytes bytes, size_t cap,
                        ProtobufCMessage **ret_message)
{
    if (bytes.n > cap)
        return SH_PROTO_FRAME_TOO_LONG;
    if (!sh_wire_is_sane(schema, bytes))
        return SH_PROTO_MALFORMED;
    struct budget budget = {.left = SH_UNPACK_BASE + SH_UNPACK_FACTOR * cap};
    ProtobufCAllocator allocator = {
        .alloc = budget_alloc, .free = budget_free, .allocator_data = &budget};
    static const uint8_t nothing[1];
    ProtobufCMessage *message =
        protobuf_c_message_unpack(schema, &allocator, bytes.n, bytes.n ? bytes.p : nothing);
    if (!message)
        return budget.no_memory ? SH_ENV_NO_MEMORY : SH_PROTO_MALFORMED;
    *ret_message = message;
    return SH_OK;
}

enum sh_cause sh_msg_unpack(unsigned type, struct sh_bytes payload, ProtobufCMessage **ret_message)
{
    const struct sh_msg_info *info = sh_msg_info(type);
    if (!info || !info->schema)
        return SH_PROTO_UNKNOWN_TYPE;
    return sh_unpack(info->schema, payload, info->cap, ret_message);
}

void sh_msg_free(ProtobufCMessage *message)
{
    if (message)
        protobuf_c_message_free_unpacked(message, NULL);
}

void sh_msg_freep(void *message)
{
    ProtobufCMessage **pointer = message;
    sh_msg_free(*pointer);
    *pointer = NULL;
}
