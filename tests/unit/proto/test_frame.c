/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "proto/frame.h"

#include <stdlib.h>

#include "check.h"

struct taken {
    struct sh_frame_reader *reader;
    unsigned frames;
    unsigned type;
    size_t n;
    uint8_t sum;
    enum sh_cause says;
    bool stop;
};

static enum sh_cause take(unsigned type, struct sh_bytes payload, void *user)
{
    struct taken *taken = user;
    taken->frames++;
    taken->type = type;
    taken->n = payload.n;
    taken->sum = 0;
    for (size_t i = 0; i < payload.n; i++)
        taken->sum = (uint8_t)(taken->sum * 31 + payload.p[i]);
    if (taken->stop)
        sh_frame_reader_stop(taken->reader);
    return taken->says;
}

static void readerp(struct taken *taken)
{
    sh_frame_reader_free(taken->reader);
}
#define autotaken SH_CLEANUP(readerp) struct taken

static void begin(struct taken *taken, bool clear_only)
{
    memset(taken, 0, sizeof(*taken));
    taken->reader = sh_frame_reader_new(clear_only, take, taken);
    assert_non_null(taken->reader);
}

static void put_header(uint8_t *out, unsigned type, size_t n)
{
    out[0] = (uint8_t)type;
    out[1] = (uint8_t)(n >> 16);
    out[2] = (uint8_t)(n >> 8);
    out[3] = (uint8_t)n;
}

static enum sh_cause feed(struct taken *taken, const uint8_t *bytes, size_t n, size_t *ret_used)
{
    uint8_t *copy = malloc(n ? n : 1); /* so that the sanitizer sees a read beyond */
    memcpy(copy, bytes, n);
    enum sh_cause cause = sh_frame_reader_rx(taken->reader, SH_BYTES(copy, n), ret_used);
    free(copy);
    return cause;
}

/* The largest frame of each type is taken, and one octet more is refused at the header. */
static void test_caps(void **state SH_UNUSED)
{
    unsigned types = 0;
    for (unsigned type = 0; type < 256; type++) {
        const struct sh_msg_info *info = sh_msg_info(type);
        uint8_t header[SH_FRAME_HEADER];
        size_t used = 99;
        if (!info)
            continue;
        types++;
        autotaken taken;
        begin(&taken, false);
        uint8_t *frame = calloc(1, SH_FRAME_HEADER + info->cap);
        put_header(frame, type, info->cap);
        assert_ok(feed(&taken, frame, SH_FRAME_HEADER + info->cap, &used));
        free(frame);
        assert_int_equal(used, SH_FRAME_HEADER + info->cap);
        assert_int_equal(taken.frames, 1);
        assert_int_equal(taken.type, type);
        assert_int_equal(taken.n, info->cap);
        put_header(header, type, info->cap + 1);
        assert_cause(feed(&taken, header, sizeof(header), &used), SH_PROTO_FRAME_TOO_LONG);
        assert_int_equal(used, SH_FRAME_HEADER);
        assert_int_equal(taken.frames, 1);
    }
    assert_int_equal(types, 33);
}

/* Three frames, one of them empty, cut at every octet. */
static void test_every_cut(void **state SH_UNUSED)
{
    uint8_t stream[4 + 5 + 4 + 4 + 3];
    put_header(stream, SH_MSG_HELLO, 5);
    memcpy(stream + 4, "hello", 5);
    put_header(stream + 9, SH_MSG_PAKE_DONE, 0);
    put_header(stream + 13, SH_MSG_ABORT, 3);
    memcpy(stream + 17, "bye", 3);
    for (size_t cut = 0; cut <= sizeof(stream); cut++) {
        size_t used = 99;
        autotaken taken;
        begin(&taken, true);
        assert_ok(feed(&taken, stream, cut, &used));
        assert_int_equal(used, cut);
        assert_int_equal(taken.frames, (cut >= 9) + (cut >= 13) + (cut >= 20));
        bool between = cut == 0 || cut == 9 || cut == 13 || cut == 20;
        assert_cause(sh_frame_reader_end(taken.reader), between ? SH_OK : SH_PROTO_TRUNCATED);
        assert_ok(feed(&taken, stream + cut, sizeof(stream) - cut, &used));
        assert_int_equal(used, sizeof(stream) - cut);
        assert_int_equal(taken.frames, 3);
        assert_int_equal(taken.type, SH_MSG_ABORT);
        assert_int_equal(taken.n, 3);
        assert_int_equal(taken.sum, (uint8_t)(('b' * 31 + 'y') * 31 + 'e'));
        assert_ok(sh_frame_reader_end(taken.reader));
    }
}

static void test_octet_by_octet(void **state SH_UNUSED)
{
    uint8_t stream[4 + 300];
    autotaken taken;
    begin(&taken, true);
    put_header(stream, SH_MSG_HELLO, 300);
    memset(stream + 4, 1, 300);
    for (size_t i = 0; i < sizeof(stream); i++) {
        size_t used = 0;
        assert_int_equal(taken.frames, 0);
        assert_ok(feed(&taken, stream + i, 1, &used));
        assert_int_equal(used, 1);
    }
    assert_int_equal(taken.frames, 1);
    assert_int_equal(taken.n, 300);
}

static void test_unknown_type(void **state SH_UNUSED)
{
    for (unsigned type = 0; type < 256; type++) {
        uint8_t header[SH_FRAME_HEADER];
        size_t used = 0;
        if (sh_msg_info(type))
            continue;
        autotaken taken;
        begin(&taken, false);
        put_header(header, type, 0);
        assert_cause(feed(&taken, header, sizeof(header), &used), SH_PROTO_UNKNOWN_TYPE);
        assert_int_equal(taken.frames, 0);
    }
}

/* Before TLS only the types of the greeting and the key exchange, and Abort. */
static void test_clear_only(void **state SH_UNUSED)
{
    for (unsigned type = 0; type < 256; type++) {
        uint8_t header[SH_FRAME_HEADER];
        size_t used = 0;
        if (!sh_msg_info(type))
            continue;
        autotaken taken;
        begin(&taken, true);
        put_header(header, type, 0);
        bool clear = type >= SH_MSG_HELLO && type <= SH_MSG_ABORT;
        assert_cause(feed(&taken, header, sizeof(header), &used),
                     clear ? SH_OK : SH_PROTO_WRONG_STATE);
        assert_int_equal(taken.frames, clear);
    }
}

static void test_stop(void **state SH_UNUSED)
{
    uint8_t stream[4 + 4 + 3];
    size_t used = 0;
    autotaken taken;
    begin(&taken, true);
    taken.stop = true;
    put_header(stream, SH_MSG_PAKE_DONE, 0);
    memcpy(stream + 4, "\x16\x03\x01 TLS", 7);
    assert_ok(feed(&taken, stream, sizeof(stream), &used));
    assert_int_equal(used, 4);
    assert_int_equal(taken.frames, 1);
    assert_ok(feed(&taken, stream + 4, 7, &used));
    assert_int_equal(used, 0);
    assert_ok(sh_frame_reader_end(taken.reader));
}

static void test_callback_refuses(void **state SH_UNUSED)
{
    uint8_t stream[4 + 4];
    size_t used = 0;
    autotaken taken;
    begin(&taken, true);
    taken.says = SH_CONFIRM_WRONG_CODE;
    put_header(stream, SH_MSG_PAKE_DONE, 0);
    put_header(stream + 4, SH_MSG_PAKE_DONE, 0);
    assert_cause(feed(&taken, stream, sizeof(stream), &used), SH_CONFIRM_WRONG_CODE);
    assert_int_equal(used, 4);
    assert_int_equal(taken.frames, 1);
}

/* Freed in the middle of a frame, and never made. */
static void test_freed_inside_frame(void **state SH_UNUSED)
{
    uint8_t header[SH_FRAME_HEADER];
    size_t used = 0;
    autotaken taken;
    begin(&taken, true);
    put_header(header, SH_MSG_HELLO, 100);
    assert_ok(feed(&taken, header, sizeof(header), &used));
    sh_frame_reader_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_caps),
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_octet_by_octet),
        cmocka_unit_test(test_unknown_type),
        cmocka_unit_test(test_clear_only),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_callback_refuses),
        cmocka_unit_test(test_freed_inside_frame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
