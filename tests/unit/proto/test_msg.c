/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "proto/msg.h"

#include <stdlib.h>

#include "check.h"

#define TYPES 256

/* Something into every field of a message, by its schema, so that a round trip would lose it
 * visibly. depth keeps sub-messages finite. */
static void fill(ProtobufCMessage *message, unsigned depth);

static void fill_value(const ProtobufCFieldDescriptor *field, void *at, unsigned depth)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        *(char **)at = strdup("text");
        break;
    case PROTOBUF_C_TYPE_BYTES:
        ((ProtobufCBinaryData *)at)->data = (uint8_t *)strdup("bytes");
        ((ProtobufCBinaryData *)at)->len = 5;
        break;
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *)at = 1;
        break;
    case PROTOBUF_C_TYPE_ENUM: {
        const ProtobufCEnumDescriptor *values = field->descriptor;
        *(int *)at = values->values[values->n_values - 1].value;
        break;
    }
    case PROTOBUF_C_TYPE_UINT32:
        *(uint32_t *)at = 0xfedcba98;
        break;
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
        *(int32_t *)at = -7;
        break;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_INT64:
        *(uint64_t *)at = 0x123456789abcdef0;
        break;
    case PROTOBUF_C_TYPE_MESSAGE: {
        const ProtobufCMessageDescriptor *schema = field->descriptor;
        ProtobufCMessage *sub = NULL;
        if (depth > 0) {
            sub = calloc(1, schema->sizeof_message);
            protobuf_c_message_init(schema, sub);
            fill(sub, depth - 1);
        }
        *(ProtobufCMessage **)at = sub;
        break;
    }
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
        fail_msg("field %s has a type that this test does not know", field->name);
    }
}

static size_t size_of(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return 8;
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_ENUM:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        return 4;
    }
    return 0;
}

static void fill(ProtobufCMessage *message, unsigned depth)
{
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        char *at = (char *)message + field->offset;
        if (field->label != PROTOBUF_C_LABEL_REPEATED) {
            fill_value(field, at, depth);
        } else if (field->type != PROTOBUF_C_TYPE_MESSAGE || depth > 0) {
            size_t n = 2;
            *(size_t *)(void *)((char *)message + field->quantifier_offset) = n;
            char *array = calloc(n, size_of(field));
            *(char **)(void *)at = array;
            for (size_t k = 0; k < n; k++)
                fill_value(field, array + k * size_of(field), depth);
        }
    }
}

/* Each type, full, goes out as a frame, comes back, and packs to the same octets. */
static void test_round_trip(void **state SH_UNUSED)
{
    unsigned types = 0;
    for (unsigned type = 0; type < TYPES; type++) {
        const struct sh_msg_info *info = sh_msg_info(type);
        if (!info || !info->schema)
            continue;
        types++;
        sh_autofree uint8_t *frame = NULL, *again = NULL;
        size_t n = 0, again_n = 0;
        ProtobufCMessage *message = calloc(1, info->schema->sizeof_message);
        protobuf_c_message_init(info->schema, message);
        fill(message, 2);
        assert_ok(sh_msg_frame(type, message, &frame, &n));
        protobuf_c_message_free_unpacked(message, NULL);
        assert_int_equal(frame[0], type);
        assert_int_equal((size_t)frame[1] << 16 | frame[2] << 8 | frame[3], n - SH_FRAME_HEADER);
        assert_true(n > SH_FRAME_HEADER || info->schema->n_fields == 0);
        SH_CLEANUP(sh_msg_freep) ProtobufCMessage *back = NULL;
        assert_ok(
            sh_msg_unpack(type, SH_BYTES(frame + SH_FRAME_HEADER, n - SH_FRAME_HEADER), &back));
        assert_ptr_equal(back->descriptor, info->schema);
        assert_ok(sh_msg_frame(type, back, &again, &again_n));
        assert_int_equal(again_n, n);
        assert_memory_equal(again, frame, n);
    }
    assert_int_equal(types, 32);
}

/* Names and numbers are on the wire and in fault files. */
static void test_names(void **state SH_UNUSED)
{
    for (unsigned type = 0; type < TYPES; type++) {
        if (sh_msg_info(type))
            assert_int_equal(sh_msg_by_name(sh_msg_info(type)->name), type);
    }
    assert_int_equal(sh_msg_by_name("hello"), 1);
    assert_int_equal(sh_msg_by_name("leaf"), 35);
    assert_int_equal(sh_msg_by_name("receipt-ack"), 40);
    assert_int_equal(sh_msg_by_name("leaf-hashes"), 42);
    assert_int_equal(sh_msg_by_name("nonsense"), 0);
    assert_int_equal(sh_msg_by_name(""), 0);
    assert_null(sh_msg_info(0));
    assert_null(sh_msg_info(43));
    assert_null(sh_msg_info(UINT32_MAX));
}

static void test_pack_cap(void **state SH_UNUSED)
{
    Simhop__Ping ping = SIMHOP__PING__INIT;
    uint8_t padding[4352] = {0};
    sh_autofree uint8_t *frame = NULL;
    size_t n = 0;
    ping.padding.data = padding;
    ping.padding.len = 4349; /* a tag and a length of two octets */
    assert_ok(sh_msg_frame(SH_MSG_PING, &ping.base, &frame, &n));
    assert_int_equal(n, SH_FRAME_HEADER + 4352);
    ping.padding.len = 4350;
    uint8_t *too_long = NULL;
    assert_cause(sh_msg_frame(SH_MSG_PING, &ping.base, &too_long, &n), SH_INTERNAL_BUG);
    assert_cause(sh_msg_frame(SH_MSG_PONG, &ping.base, &too_long, &n), SH_INTERNAL_BUG);
    assert_cause(sh_msg_frame(SH_MSG_LEAF, &ping.base, &too_long, &n), SH_INTERNAL_BUG);
    assert_cause(sh_msg_frame(200, &ping.base, &too_long, &n), SH_INTERNAL_BUG);
    assert_null(too_long);
}

static void test_unpack_cap(void **state SH_UNUSED)
{
    for (unsigned type = 0; type < TYPES; type++) {
        const struct sh_msg_info *info = sh_msg_info(type);
        ProtobufCMessage *message = NULL;
        if (!info || !info->schema)
            continue;
        uint8_t *zeros = calloc(1, info->cap + 1);
        assert_cause(sh_msg_unpack(type, SH_BYTES(zeros, info->cap + 1), &message),
                     SH_PROTO_FRAME_TOO_LONG);
        assert_cause(sh_msg_unpack(type, SH_BYTES(zeros, 1), &message), SH_PROTO_MALFORMED);
        free(zeros);
        assert_ok(sh_msg_unpack(type, SH_BYTES(NULL, 0), &message)); /* proto3: all defaults */
        sh_msg_free(message);
    }
}

static void test_not_for_unpacking(void **state SH_UNUSED)
{
    ProtobufCMessage *message = NULL;
    assert_cause(sh_msg_unpack(SH_MSG_LEAF, SH_BYTES("", 0), &message), SH_PROTO_UNKNOWN_TYPE);
    assert_cause(sh_msg_unpack(200, SH_BYTES("", 0), &message), SH_PROTO_UNKNOWN_TYPE);
    assert_null(message);
}

/* Sub-messages of two octets each become a struct each, and the budget ends that. No struct of the
 * schema is large enough to reach it, so this one is told to be of a KiB. */
static void test_unpack_budget(void **state SH_UNUSED)
{
    ProtobufCMessageDescriptor line = simhop__profile_instance__descriptor;
    ProtobufCMessageDescriptor bundle = simhop__bundle__descriptor;
    ProtobufCFieldDescriptor fields[32];
    const size_t cap = 1024;
    uint8_t bytes[1024];
    ProtobufCMessage *message = NULL;
    assert_true(bundle.n_fields <= SH_COUNT(fields));
    memcpy(fields, bundle.fields, bundle.n_fields * sizeof(fields[0]));
    for (unsigned i = 0; i < bundle.n_fields; i++) {
        if (fields[i].descriptor == &simhop__profile_instance__descriptor)
            fields[i].descriptor = &line;
    }
    bundle.fields = fields;
    line.sizeof_message = 1024;
    for (size_t i = 0; i < cap; i += 2)
        memcpy(bytes + i, "\x3a\x00", 2); /* Bundle.lines, empty */
    assert_ok(sh_unpack(&bundle, SH_BYTES(bytes, 128), cap, &message));
    assert_int_equal(((Simhop__Bundle *)(void *)message)->n_lines, 64);
    sh_msg_free(message);
    message = NULL;
    assert_cause(sh_unpack(&bundle, SH_BYTES(bytes, cap), cap, &message), SH_PROTO_MALFORMED);
    assert_null(message);
    sh_msg_free(NULL);
}

/* Cut anywhere, a message is refused or is another message, never a read beyond its end. */
static void test_truncated(void **state SH_UNUSED)
{
    Simhop__Hello hello;
    uint32_t suites[] = {1, 2};
    sh_autofree uint8_t *frame = NULL;
    size_t n = 0;
    simhop__hello__init(&hello);
    hello.suites = suites;
    hello.n_suites = 2;
    hello.name = strdup("phone");
    assert_ok(sh_msg_frame(SH_MSG_HELLO, &hello.base, &frame, &n));
    free(hello.name);
    for (size_t cut = 0; cut < n - SH_FRAME_HEADER; cut++) {
        ProtobufCMessage *message = NULL;
        uint8_t *piece = malloc(cut ? cut : 1);
        memcpy(piece, frame + SH_FRAME_HEADER, cut);
        enum sh_cause cause = sh_msg_unpack(SH_MSG_HELLO, SH_BYTES(piece, cut), &message);
        assert_true(cause == SH_OK || cause == SH_PROTO_MALFORMED);
        sh_msg_free(message);
        free(piece);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),        cmocka_unit_test(test_names),
        cmocka_unit_test(test_pack_cap),          cmocka_unit_test(test_unpack_cap),
        cmocka_unit_test(test_not_for_unpacking), cmocka_unit_test(test_unpack_budget),
        cmocka_unit_test(test_truncated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
