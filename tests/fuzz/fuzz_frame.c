/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Any octets as a stream of frames, whose payloads are unpacked by their type. The first octet says
 * whether only types of the clear are taken (bit 0) and how large the pieces are (the rest).
 */
#include "fuzz/fuzz.h"
#include "proto/frame.h"

static enum sh_cause take(unsigned type, struct sh_bytes payload, void *user SH_UNUSED)
{
    const struct sh_msg_info *info = sh_msg_info(type);
    ProtobufCMessage *message = NULL;
    fuzz_assert(info && payload.n <= info->cap);
    enum sh_cause cause = sh_msg_unpack(type, payload, &message);
    if (!info->schema)
        fuzz_assert(cause == SH_PROTO_UNKNOWN_TYPE);
    else
        fuzz_assert(cause == SH_OK || cause == SH_PROTO_MALFORMED);
    fuzz_assert((cause == SH_OK) == (message != NULL));
    sh_msg_free(message);
    return SH_OK; /* go on: more frames, more ground */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct sh_frame_reader *reader = sh_frame_reader_new(data[0] & 1, take, NULL);
    size_t piece = data[0] / 2 ? data[0] / 2 : size;
    enum sh_cause cause = SH_OK;
    for (size_t at = 1; at < size && cause == SH_OK; at += piece) {
        size_t used = 0, n = SH_MIN(piece, size - at);
        cause = sh_frame_reader_rx(reader, SH_BYTES(data + at, n), &used);
        fuzz_assert(used <= n && (cause != SH_OK || used == n));
    }
    fuzz_assert(cause == SH_OK || cause == SH_PROTO_FRAME_TOO_LONG ||
                cause == SH_PROTO_UNKNOWN_TYPE || cause == SH_PROTO_WRONG_STATE);
    cause = sh_frame_reader_end(reader);
    fuzz_assert(cause == SH_OK || cause == SH_PROTO_TRUNCATED);
    sh_frame_reader_free(reader);
    return 0;
}
