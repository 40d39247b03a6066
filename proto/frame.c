/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "proto/frame.h"

#include <stdlib.h>
#include <string.h>

struct sh_frame_reader {
    sh_frame_fn fn;
    void *user;
    bool clear_only;
    bool stopped;
    uint8_t header[SH_FRAME_HEADER];
    size_t header_have;
    uint8_t *payload; /* of payload_want octets, while a frame is coming in */
    size_t payload_want;
    size_t payload_have;
};

struct sh_frame_reader *sh_frame_reader_new(bool clear_only, sh_frame_fn fn, void *user)
{
    struct sh_frame_reader *reader = calloc(1, sizeof(*reader));
    if (!reader)
        return NULL;
    reader->clear_only = clear_only;
    reader->fn = fn;
    reader->user = user;
    return reader;
}

void sh_frame_reader_free(struct sh_frame_reader *reader)
{
    if (!reader)
        return;
    free(reader->payload);
    free(reader);
}

/* The header is complete: is this a frame that we take, and how long is it? */
static enum sh_cause begin_payload(struct sh_frame_reader *reader)
{
    unsigned type = reader->header[0];
    size_t n = (size_t)reader->header[1] << 16 | (size_t)reader->header[2] << 8 | reader->header[3];
    const struct sh_msg_info *info = sh_msg_info(type);
    if (!info)
        return sh_fail(SH_PROTO_UNKNOWN_TYPE, "message type %u", type);
    if (reader->clear_only && !info->clear)
        return sh_fail(SH_PROTO_WRONG_STATE, "%s before the secure channel", info->name);
    if (n > info->cap)
        return sh_fail(SH_PROTO_FRAME_TOO_LONG, "%s of %zu bytes, at most %u", info->name, n,
                       (unsigned)info->cap);
    reader->payload = malloc(n ? n : 1);
    if (!reader->payload)
        return SH_ENV_NO_MEMORY;
    reader->payload_want = n;
    reader->payload_have = 0;
    return SH_OK;
}

static enum sh_cause deliver(struct sh_frame_reader *reader)
{
    sh_autofree uint8_t *payload = reader->payload;
    struct sh_bytes bytes = {payload, reader->payload_want};
    reader->payload = NULL;
    reader->header_have = 0;
    return reader->fn(reader->header[0], bytes, reader->user);
}

enum sh_cause sh_frame_reader_rx(struct sh_frame_reader *reader, struct sh_bytes bytes,
                                 size_t *ret_used)
{
    enum sh_cause cause = SH_OK;
    size_t used = 0;
    while (cause == SH_OK && used < bytes.n && !reader->stopped) {
        if (!reader->payload) {
            reader->header[reader->header_have++] = bytes.p[used++];
            if (reader->header_have == SH_FRAME_HEADER)
                cause = begin_payload(reader);
        } else {
            size_t n = SH_MIN(bytes.n - used, reader->payload_want - reader->payload_have);
            memcpy(reader->payload + reader->payload_have, bytes.p + used, n);
            reader->payload_have += n;
            used += n;
        }
        if (cause == SH_OK && reader->payload && reader->payload_have == reader->payload_want)
            cause = deliver(reader);
    }
    *ret_used = used;
    return cause;
}

void sh_frame_reader_stop(struct sh_frame_reader *reader)
{
    reader->stopped = true;
}

enum sh_cause sh_frame_reader_end(const struct sh_frame_reader *reader)
{
    if (reader->header_have > 0 || reader->payload)
        return SH_PROTO_TRUNCATED;
    return SH_OK;
}
