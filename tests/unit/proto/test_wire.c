/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What protobuf-c would silently cut or recurse into is refused before it sees the bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/msg.h"
#include "proto/wire.h"

static void must_be(enum sh_cause wanted, const ProtobufCMessageDescriptor *schema,
                    const void *bytes, size_t n)
{
    SH_CLEANUP(sh_msg_freep) ProtobufCMessage *message = NULL;
    assert_int_equal(sh_unpack(schema, SH_BYTES(bytes, n), 65536, &message), wanted);
}

#define REFUSED(schema, bytes)                                                                     \
    must_be(SH_PROTO_MALFORMED, &simhop__##schema##__descriptor, bytes, sizeof(bytes) - 1)
#define TAKEN(schema, bytes)                                                                       \
    must_be(SH_OK, &simhop__##schema##__descriptor, bytes, sizeof(bytes) - 1)

static void a_nul_in_a_string(void **state SH_UNUSED)
{
    TAKEN(item, "\x12\x04good");
    REFUSED(item, "\x12\x05good\0");
    REFUSED(item, "\x12\x05\0good");
    REFUSED(item, "\x12\x07ok\0/../");
    TAKEN(item, "\x0A\x02\0\0"); /* bytes may have one */
    TAKEN(item, "\x7A\x02\0\0"); /* a field that we do not know may be anything */
    TAKEN(item, "\x18\x01\x12\x01"
                "a"); /* behind another field */
    REFUSED(item, "\x18\x01\x12\x01\0");
}

static void also_deep_inside(void **state SH_UNUSED)
{
    TAKEN(manifest, "\x1A\x06\x12\x04good");
    REFUSED(manifest, "\x1A\x07\x12\x05go\0od");
    REFUSED(manifest, "\x1A\x06\x12\x04good\x1A\x03\x12\x01\0");
    REFUSED(bundle, "\x3A\x05\x62\x03\x2A\x01\0"); /* lines, acquisition, temporary token */
}

static void fixed_width_fields_are_passed_over(void **state SH_UNUSED)
{
    TAKEN(item, "\x79\0\0\0\0\0\0\0\0\x12\x01"
                "a");
    REFUSED(item, "\x79\0\0\0\0\0\0\0\0\x12\x01\0");
    TAKEN(item, "\x7D\0\0\0\0\x12\x01"
                "a");
    REFUSED(item, "\x7D\0\0\0\0\x12\x01\0");
}

/* Cut anywhere it is malformed or a shorter message, never a crash; the look itself only refuses NULs. */
static void cut_anywhere(void **state SH_UNUSED)
{
    static const char whole[] = "\x0A\x02\0\0\x12\x04good\x18\x01\x20\x80\x80\x04";
    for (size_t n = 0; n < sizeof(whole); n++) {
        char *copy = malloc(n + 1); /* so that the sanitizer sees a step too far */
        memcpy(copy, whole, n);
        assert_true(sh_wire_is_sane(&simhop__item__descriptor, SH_BYTES(copy, n)));
        free(copy);
    }
}

static void lengths_that_lie(void **state SH_UNUSED)
{
    REFUSED(item, "\x12\x7Fgood");
    REFUSED(item, "\x12\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01");
    REFUSED(item, "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_nul_in_a_string),
        cmocka_unit_test(also_deep_inside),
        cmocka_unit_test(fixed_width_fields_are_passed_over),
        cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(lengths_that_lie),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
