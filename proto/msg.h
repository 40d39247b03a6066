/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The kinds of message: one table of type number, name, cap and schema. A message on a stream is a
 * frame: one octet of type, three octets of payload length (big endian), the payload. The payload
 * is the protobuf of the type's schema, except for Leaf, which is fixed binary (see transfer/leaf.h).
 *
 * Unpacking is bounded twice: a payload longer than the cap of its type never reaches protobuf-c,
 * and what protobuf-c allocates for it is bounded by a budget of a small multiple of the cap.
 */
#ifndef SIMHOP_PROTO_MSG_H
#define SIMHOP_PROTO_MSG_H

#include "proto/base.h"
#include "proto/cause.h"
#include "proto/simhop.pb-c.h"

#define SH_FRAME_HEADER  4
#define SH_LEAF_SIZE     65536
#define SH_LEAF_OVERHEAD 44
#define SH_BUNDLE_MAX    65536 /* a SignedBundle */

/* On the wire: never renumbered. */
enum sh_msg_type {
    SH_MSG_HELLO = 1,
    SH_MSG_PROXIMITY = 2,
    SH_MSG_CODE_READY = 3,
    SH_MSG_PAKE_SHARE_P = 4,
    SH_MSG_PAKE_SHARE_V = 5,
    SH_MSG_PAKE_CONFIRM_P = 6,
    SH_MSG_PAKE_FAILED = 7,
    SH_MSG_PAKE_DONE = 8,
    SH_MSG_ABORT = 9,
    SH_MSG_ENROL_REQUEST = 16,
    SH_MSG_ENROL_REPLY = 17,
    SH_MSG_LINK_OFFERS = 18,
    SH_MSG_LINK_HELLO = 19,
    SH_MSG_LINK_READY = 20,
    SH_MSG_PING = 21,
    SH_MSG_PONG = 22,
    SH_MSG_LINK_STATE = 23,
    SH_MSG_SAMPLES = 24,
    SH_MSG_CALIBRATE = 25,
    SH_MSG_CALIBRATED = 26,
    SH_MSG_LINK_QUERY = 27,
    SH_MSG_LINK_VIEW = 28,
    SH_MSG_MANIFEST_REQUEST = 32,
    SH_MSG_MANIFEST = 33,
    SH_MSG_PULL = 34,
    SH_MSG_LEAF = 35,
    SH_MSG_ROOT_REQUEST = 36,
    SH_MSG_ROOT = 37,
    SH_MSG_PROGRESS = 38,
    SH_MSG_RECEIPT = 39,
    SH_MSG_RECEIPT_ACK = 40,
    SH_MSG_LEAF_HASHES_REQUEST = 41,
    SH_MSG_LEAF_HASHES = 42,
};

struct sh_msg_info {
    const char *name;                         /* "hello", as in logs, docs and fault files */
    uint32_t cap;                             /* largest payload in octets */
    bool clear;                               /* may come before TLS */
    const ProtobufCMessageDescriptor *schema; /* NULL: binary (Leaf) */
};

/* NULL for a type that this version does not know. */
const struct sh_msg_info *sh_msg_info(unsigned type);

/* The type with this name, 0 if none. */
unsigned sh_msg_by_name(const char *name);

/* A frame with the packed message. *ret_frame is malloc'ed, the caller frees it.
 * Fails with internal.bug if the message is longer than its cap, env.no-memory. */
SH_MUST_USE enum sh_cause sh_msg_frame(unsigned type, const ProtobufCMessage *message,
                                       uint8_t **ret_frame, size_t *ret_len);

/* Unpacks a payload of a type of the table. *ret_message is freed with sh_msg_free.
 * Fails with proto.frame-too-long, proto.malformed, env.no-memory. */
SH_MUST_USE enum sh_cause sh_msg_unpack(unsigned type, struct sh_bytes payload,
                                        ProtobufCMessage **ret_message);

/* The same for bytes of any schema (a bundle in a file), of at most cap octets. */
SH_MUST_USE enum sh_cause sh_unpack(const ProtobufCMessageDescriptor *schema, struct sh_bytes bytes,
                                    size_t cap, ProtobufCMessage **ret_message);

/* Frees a message got from sh_msg_unpack or sh_unpack; NULL is fine. */
void sh_msg_free(ProtobufCMessage *message);
/* For `SH_CLEANUP(sh_msg_freep) Simhop__Hello *hello = NULL;` */
void sh_msg_freep(void *message);

#endif
