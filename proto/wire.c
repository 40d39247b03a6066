/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "proto/wire.h"

#include <string.h>

enum wire_type { VARINT = 0, FIXED64 = 1, DELIMITED = 2, FIXED32 = 5 };

/* Base-128 varint; false at the end of the bytes or past 64 bits. */
static bool read_varint(struct sh_bytes *bytes, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && bytes->n > 0; shift += 7) {
        uint8_t octet = *bytes->p++;
        bytes->n--;
        value |= (uint64_t)(octet & 0x7F) << shift;
        if (!(octet & 0x80)) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

static bool skip(struct sh_bytes *bytes, uint64_t n)
{
    if (n > bytes->n)
        return false;
    bytes->p += n;
    bytes->n -= (size_t)n;
    return true;
}

static bool check(const ProtobufCMessageDescriptor *schema, struct sh_bytes bytes, unsigned depth);

/* A length-delimited field whose octets are `inner`. */
static bool check_field(const ProtobufCMessageDescriptor *schema, uint64_t number,
                        struct sh_bytes inner, unsigned depth)
{
    const ProtobufCFieldDescriptor *field =
        number <= UINT32_MAX ? protobuf_c_message_descriptor_get_field(schema, (unsigned)number)
                             : NULL;
    if (!field)
        return true;
    if (field->type == PROTOBUF_C_TYPE_STRING)
        return inner.n == 0 || !memchr(inner.p, 0, inner.n);
    if (field->type == PROTOBUF_C_TYPE_MESSAGE)
        return check(field->descriptor, inner, depth + 1);
    return true;
}

static bool check(const ProtobufCMessageDescriptor *schema, struct sh_bytes bytes, unsigned depth)
{
    if (depth > SH_WIRE_DEPTH)
        return false;
    while (bytes.n > 0) {
        uint64_t tag = 0, n = 0;
        if (!read_varint(&bytes, &tag))
            return true;
        switch (tag & 7) {
        case VARINT:
            if (!read_varint(&bytes, &n))
                return true;
            break;
        case FIXED64:
        case FIXED32:
            if (!skip(&bytes, (tag & 7) == FIXED64 ? 8 : 4))
                return true;
            break;
        case DELIMITED: {
            if (!read_varint(&bytes, &n) || n > bytes.n)
                return true;
            struct sh_bytes inner = {bytes.p, (size_t)n};
            if (!check_field(schema, tag >> 3, inner, depth))
                return false;
            if (!skip(&bytes, n))
                return true;
            break;
        }
        default:
            return true;
        }
    }
    return true;
}

bool sh_wire_is_sane(const ProtobufCMessageDescriptor *schema, struct sh_bytes bytes)
{
    return check(schema, bytes, 0);
}
