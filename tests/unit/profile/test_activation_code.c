/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "profile/activation_code.h"
#include "profile/text.h"
#include "proto/text.h"

#define LINK_APPLE   "https://esimsetup.apple.com/esim_qrcode_provisioning"
#define LINK_ANDROID "https://esimsetup.android.com/esim_qrcode_provisioning"
#define TEXT_63      "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz0"

struct good {
    const char *text, *smdp, *matching_id, *oid;
    bool confirmation;
    const char *ci, *notification;
    const char *formatted; /* NULL: as text */
};

static const struct good good[] = {
    {"LPA:1$smdp.example.com$04386-AGYFT-A74Y8-3F815", "smdp.example.com",
     "04386-AGYFT-A74Y8-3F815", "", false, "", "", NULL},
    {"LPA:1$testsmdpplus1.example.com$TS48V2-SAIP2-1-NOBERTLV-UNIQUE", "testsmdpplus1.example.com",
     "TS48V2-SAIP2-1-NOBERTLV-UNIQUE", "", false, "", "", NULL},
    /* any case, and without the prefix */
    {"lpa:1$smdp.example.com$AbC", "smdp.example.com", "AbC", "", false, "", "",
     "LPA:1$smdp.example.com$AbC"},
    {"Lpa:1$SMDP.EXAMPLE.COM$x", "SMDP.EXAMPLE.COM", "x", "", false, "", "",
     "LPA:1$SMDP.EXAMPLE.COM$x"},
    {"1$smdp.example.com$AbC", "smdp.example.com", "AbC", "", false, "", "",
     "LPA:1$smdp.example.com$AbC"},
    /* fields of version 2 */
    {"LPA:1$a.b$m$1.3.6.1.4.1.31746", "a.b", "m", "1.3.6.1.4.1.31746", false, "", "", NULL},
    {"LPA:1$a.b$m$1.3.6.1.4.1.31746$1", "a.b", "m", "1.3.6.1.4.1.31746", true, "", "", NULL},
    {"1$a$b$$1", "a", "b", "", true, "", "", "LPA:1$a$b$$1"},
    {"LPA:1$a$b$$", "a", "b", "", false, "", "", "LPA:1$a$b"},
    {"LPA:1$a$b$$$$", "a", "b", "", false, "", "", "LPA:1$a$b"},
    {"LPA:1$a$b$$0", "a", "b", "", false, "", "", "LPA:1$a$b"},
    /* empty matching id, default SM-DP+ */
    {"LPA:1$smdp.example.com$", "smdp.example.com", "", "", false, "", "", NULL},
    {"LPA:1$smdp.example.com", "smdp.example.com", "", "", false, "", "",
     "LPA:1$smdp.example.com$"},
    {"LPA:1$smdp.example.com$$1.3.6", "smdp.example.com", "", "1.3.6", false, "", "", NULL},
    {"LPA:1$$MATCH", "", "MATCH", "", false, "", "", NULL},
    /* ports */
    {"LPA:1$smdp.example.com:8443$m", "smdp.example.com:8443", "m", "", false, "", "", NULL},
    {"LPA:1$smdp.example.com:65535$m", "smdp.example.com:65535", "m", "", false, "", "", NULL},
    {"LPA:1$" TEXT_63 ".com$m", TEXT_63 ".com", "m", "", false, "", "", NULL},
    /* fields of version 3 */
    {"LPA:1$a.b$TS48V1-A-UNIQUE$$$1234ABCD$BF2F00", "a.b", "TS48V1-A-UNIQUE", "", false, "1234ABCD",
     "BF2F00", NULL},
    {"LPA:1$a.b$m$1.2.3$1$f54172bdf98a95d65cbeb88a38a1c11d800a85c3", "a.b", "m", "1.2.3", true,
     "f54172bdf98a95d65cbeb88a38a1c11d800a85c3", "", NULL},
    {"LPA:1$a.b$m$$$$vy8A+/==", "a.b", "m", "", false, "", "vy8A+/==", NULL},
    /* universal links, encoded or not */
    {LINK_APPLE "?carddata=LPA:1$smdp.example.com$M-1", "smdp.example.com", "M-1", "", false, "",
     "", "LPA:1$smdp.example.com$M-1"},
    {LINK_ANDROID "?carddata=LPA:1$smdp.example.com$M-1$$1", "smdp.example.com", "M-1", "", true,
     "", "", "LPA:1$smdp.example.com$M-1$$1"},
    {LINK_APPLE "?carddata=LPA%3A1%24smdp.example.com%24M%2d1", "smdp.example.com", "M-1", "",
     false, "", "", "LPA:1$smdp.example.com$M-1"},
    {LINK_APPLE "?carddata=LPA%3a1%24a.b%24m%24%241", "a.b", "m", "", true, "", "",
     "LPA:1$a.b$m$$1"},
    {LINK_ANDROID "?utm=x&carddata=1$a.b$m&y=z#top", "a.b", "m", "", false, "", "", "LPA:1$a.b$m"},
    {"HTTPS://ESIMSETUP.APPLE.COM/esim_qrcode_provisioning?carddata=LPA:1$a.b$m", "a.b", "m", "",
     false, "", "", "LPA:1$a.b$m"},
};

static const char *const bad[] = {
    "",
    "LPA:",
    "LPA:1",
    "1",
    "1$",
    "LPA:1$$",
    "LPA:$a.b$m",
    "LPA:2$x$y",
    "LPA:11$x$y",
    "LPA 1$x$y",
    "LPA:LPA:1$a.b$m",
    " LPA:1$a.b$m",
    "LPA:1$a.b$m\n",
    "esim:1$a.b$m",
    /* matching id */
    "LPA:1$testsmdpplus1.example.com$TS48v2_SAIP2.1",
    "LPA:1$a.b$m_n",
    "LPA:1$a.b$m n",
    "LPA:1$a.b$m\xc3\xa4",
    "LPA:1$a.b$m%2d1",
    /* address */
    "LPA:1$a..b$m",
    "LPA:1$.a.b$m",
    "LPA:1$a.b.$m",
    "LPA:1$-a.b$m",
    "LPA:1$a-.b$m",
    "LPA:1$a_b.c$m",
    "LPA:1$a b$m",
    "LPA:1$https://a.b$m",
    "LPA:1$a.b/c$m",
    "LPA:1$a.b:$m",
    "LPA:1$a.b:0$m",
    "LPA:1$a.b:65536$m",
    "LPA:1$a.b:99999999999$m",
    "LPA:1$a.b:80x$m",
    "LPA:1$a.b:80:80$m",
    "LPA:1$:80$m",
    "LPA:1$a" TEXT_63 ".com$m",
    "LPA:1$" TEXT_63 "." TEXT_63 "." TEXT_63 "." TEXT_63 "$m",
    /* the other fields */
    "LPA:1$a.b$m$x",
    "LPA:1$a.b$m$1",
    "LPA:1$a.b$m$1..2",
    "LPA:1$a.b$m$.1.2",
    "LPA:1$a.b$m$1.2.",
    "LPA:1$a.b$m$$2",
    "LPA:1$a.b$m$$11",
    "LPA:1$a.b$m$$true",
    "LPA:1$a.b$m$$$xyz",
    "LPA:1$a.b$m$$$12$a b",
    "LPA:1$a.b$m$$$12$ab$c",
    "LPA:1$a.b$m$$$$$",
    /* links */
    LINK_APPLE,
    LINK_APPLE "?",
    LINK_APPLE "?carddata=",
    LINK_APPLE "?other=LPA:1$a.b$m",
    LINK_APPLE "?carddata=LPA:1$a.b$m%",
    LINK_APPLE "?carddata=LPA:1$a.b$m%4",
    LINK_APPLE "?carddata=LPA:1$a.b$m%zz",
    LINK_APPLE "?carddata=LPA:1$a.b$m%00",
    LINK_APPLE "?carddata=LPA:1$a.b$m%0a",
    LINK_APPLE "?carddata=" LINK_APPLE "?carddata=1$a.b$m",
    LINK_APPLE "x?carddata=LPA:1$a.b$m",
    "http://esimsetup.apple.com/esim_qrcode_provisioning?carddata=LPA:1$a.b$m",
    "https://esimsetup.example.com/esim_qrcode_provisioning?carddata=LPA:1$a.b$m",
};

static void assert_code(const struct sh_activation *code, const struct good *g)
{
    assert_string_equal(code->smdp_address, g->smdp);
    assert_string_equal(code->matching_id, g->matching_id);
    assert_string_equal(code->smdp_oid, g->oid);
    assert_int_equal(code->confirmation_code_required, g->confirmation);
    assert_string_equal(code->ci_pk_indicator, g->ci);
    assert_string_equal(code->delete_notification, g->notification);
}

static void good_codes_are_read_and_come_back(void **state SH_UNUSED)
{
    for (size_t i = 0; i < SH_COUNT(good); i++) {
        struct sh_activation code, again;
        char *text = NULL;
        print_message("%s\n", good[i].text);
        assert_int_equal(sh_activation_parse(good[i].text, &code), SH_OK);
        assert_code(&code, &good[i]);
        assert_int_equal(sh_activation_format(&code, &text), SH_OK);
        assert_string_equal(text, good[i].formatted ? good[i].formatted : good[i].text);
        assert_int_equal(sh_activation_parse(text, &again), SH_OK);
        assert_code(&again, &good[i]);
        sh_free_secret(text);
    }
}

static void bad_codes_are_refused_without_telling_them(void **state SH_UNUSED)
{
    for (size_t i = 0; i < SH_COUNT(bad); i++) {
        struct sh_activation code, before;
        memset(&code, 0x5a, sizeof(code));
        before = code;
        print_message("%s\n", bad[i]);
        sh_detail_clear();
        assert_int_equal(sh_activation_parse(bad[i], &code), SH_ACTIVATION_BAD_CODE);
        assert_memory_equal(&code, &before, sizeof(code));
        assert_string_not_equal(sh_detail(), "");
    }
    struct sh_activation code;
    assert_int_equal(sh_activation_parse("LPA:1$a.b$SECRET_77", &code), SH_ACTIVATION_BAD_CODE);
    assert_null(strstr(sh_detail(), "SECRET"));
    assert_non_null(strstr(sh_detail(), "matching id"));
}

static void long_codes(void **state SH_UNUSED)
{
    char text[SH_ACTIVATION_MAX + 2];
    struct sh_activation code;
    /* With the fields of version 3 a code may be longer than 255 characters. */
    memset(text, 'A', sizeof(text));
    memcpy(text, "LPA:1$a.b$m$$$$", 15);
    text[SH_ACTIVATION_MAX] = '\0';
    assert_int_equal(sh_activation_parse(text, &code), SH_OK);
    assert_int_equal(strlen(code.delete_notification), SH_ACTIVATION_MAX - 15);
    text[SH_ACTIVATION_MAX] = 'A';
    text[SH_ACTIVATION_MAX + 1] = '\0';
    assert_int_equal(sh_activation_parse(text, &code), SH_ACTIVATION_BAD_CODE);
    /* A matching id that does not fit. */
    memset(text, 'A', sizeof(text));
    memcpy(text, "LPA:1$a.b$", 10);
    text[10 + 256] = '\0';
    assert_int_equal(sh_activation_parse(text, &code), SH_ACTIVATION_BAD_CODE);
    text[10 + 255] = '\0';
    assert_int_equal(sh_activation_parse(text, &code), SH_OK);
}

static void format_refuses_what_parse_refuses(void **state SH_UNUSED)
{
    char *text = NULL;
    struct sh_activation code = {.smdp_address = "a.b", .matching_id = "m$1"};
    assert_int_equal(sh_activation_format(&code, &text), SH_ACTIVATION_BAD_CODE);
    code = (struct sh_activation){.smdp_address = "a b", .matching_id = "m"};
    assert_int_equal(sh_activation_format(&code, &text), SH_ACTIVATION_BAD_CODE);
    code = (struct sh_activation){.smdp_oid = "1.2"};
    assert_int_equal(sh_activation_format(&code, &text), SH_ACTIVATION_BAD_CODE);
    code = (struct sh_activation){.smdp_address = "a.b"};
    memset(code.matching_id, 'a', sizeof(code.matching_id));
    assert_int_equal(sh_activation_format(&code, &text), SH_ACTIVATION_BAD_CODE);
    assert_null(text);
}

#define EID  "89049032123451234512345678901235"
#define IMEI "352099001761481"

static void transfer_qr(void **state SH_UNUSED)
{
    char eid[33] = "", imei[16] = "";
    char *text = NULL;
    assert_int_equal(sh_transfer_qr_format(EID, IMEI, &text), SH_OK);
    assert_string_equal(text, "esim:transfer?eid=" EID "&imei=" IMEI);
    assert_int_equal(sh_transfer_qr_parse(text, eid, imei), SH_OK);
    assert_string_equal(eid, EID);
    assert_string_equal(imei, IMEI);
    free(text);
    static const char *const wrong[] = {
        "",
        "esim:transfer?eid=" EID,
        "esim:transfer?eid=" EID "&imei=35209900176148",
        "esim:transfer?eid=" EID "&imei=352099001761482",
        "esim:transfer?eid=89049032123451234512345678901236&imei=" IMEI,
        "esim:transfer?eid=" EID "&imei=" IMEI "&x=1",
        "esim:transfer?imei=" IMEI "&eid=" EID,
        "esim:transfer?eid=8904903212345123451234567890123x&imei=" IMEI,
    };
    for (size_t i = 0; i < SH_COUNT(wrong); i++)
        assert_int_equal(sh_transfer_qr_parse(wrong[i], eid, imei), SH_ACTIVATION_BAD_CODE);
    assert_int_equal(sh_transfer_qr_format("1", IMEI, &text), SH_ACTIVATION_BAD_CODE);
    assert_int_equal(sh_transfer_qr_format(EID, "1", &text), SH_ACTIVATION_BAD_CODE);
}

static void identifiers(void **state SH_UNUSED)
{
    static const struct {
        const char *text, *iccid; /* NULL: refused */
    } iccids[] = {
        {"8949449999999990007", "8949449999999990007"},
        {"8949449999999990007F", "8949449999999990007"},
        {"894944999999999000ff", "894944999999999000"},
        {"89494499999999900070", "89494499999999900070"},
        {"89494499999999900F", NULL},
        {"89494499999999900", NULL},
        {"894944999999999000700", NULL},
        {"89494499999999900 7", NULL},
        {"8949449F99999990007", NULL},
        {"FFFFFFFFFFFFFFFFFFFF", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < SH_COUNT(iccids); i++) {
        char out[21] = "untouched";
        assert_int_equal(sh_iccid_normalise(iccids[i].text, out), iccids[i].iccid != NULL);
        assert_string_equal(out, iccids[i].iccid ? iccids[i].iccid : "untouched");
    }
    assert_true(sh_eid_is_valid(EID));
    assert_false(sh_eid_is_valid("89049032123451234512345678901253"));
    assert_false(sh_eid_is_valid("8904903212345123451234567890123"));
    assert_false(sh_eid_is_valid("890490321234512345123456789012350"));
    assert_true(sh_imei_is_valid(IMEI));
    assert_false(sh_imei_is_valid("352099001761418"));
    assert_false(sh_imei_is_valid("35209900176148"));
    assert_false(sh_imei_is_valid("35209900176148a"));
}

static void safe_text(void **state SH_UNUSED)
{
    static const char *const safe[] = {
        "",        "plain", "Gr\xc3\xbc\xc3\x9f", "\xe6\x97\xa5\xe6\x9c\xac", "\xf0\x9f\x93\xb1",
        "\xc2\xa0"};
    static const char *const unsafe[] = {
        "\x1b[31m",
        "a\nb",
        "tab\t",
        "\x7f",
        "\xc2\x9b[31m",
        "\xff",
        "\xc3",
        "\xc0\xaf",
        "\xe0\x80\xaf",
        "\xed\xa0\x80",
        "\xf4\x90\x80\x80",
        "\x80",
        "\xe2\x80\xae",
        "\xe2\x81\xa6",
        "\xe2\x80\xa8",
        "\xf8\x88\x80\x80\x80",
        "\xe2\x80",
    };
    for (size_t i = 0; i < SH_COUNT(safe); i++)
        assert_true(sh_text_is_clean(safe[i], SIZE_MAX));
    for (size_t i = 0; i < SH_COUNT(unsafe); i++)
        assert_false(sh_text_is_clean(unsafe[i], SIZE_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_codes_are_read_and_come_back),
        cmocka_unit_test(bad_codes_are_refused_without_telling_them),
        cmocka_unit_test(long_codes),
        cmocka_unit_test(format_refuses_what_parse_refuses),
        cmocka_unit_test(transfer_qr),
        cmocka_unit_test(identifiers),
        cmocka_unit_test(safe_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
