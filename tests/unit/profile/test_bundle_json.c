/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "profile/bundle_json.h"
#include "profile/text.h"

#define LINE(fields) "{\"lines\":[{\"iccid\":\"8949449999999990007\"" fields "}]}"

static char *example;
static size_t example_len;

static int read_example(void **state SH_UNUSED)
{
    example = calloc(1, 65536);
    FILE *f = fopen(TEST_DATA "/bundle.json", "r");
    if (!example || !f)
        return 1;
    example_len = fread(example, 1, 65535, f);
    fclose(f);
    return 0;
}

static int drop_example(void **state SH_UNUSED)
{
    free(example);
    return 0;
}

static Simhop__Bundle *must_read(const char *json, size_t n)
{
    Simhop__Bundle *bundle = NULL;
    enum sh_cause cause = sh_bundle_from_json(SH_BYTES(json, n), NULL, &bundle);
    if (cause != SH_OK)
        fail_msg("%s: %s", sh_cause_info(cause)->name, sh_detail());
    return bundle;
}

static void must_refuse(const char *json, size_t n, enum sh_cause cause, const char *detail)
{
    Simhop__Bundle *bundle = NULL;
    sh_detail_clear();
    enum sh_cause got = sh_bundle_from_json(SH_BYTES(json, n), NULL, &bundle);
    if (got != cause || !strstr(sh_detail(), detail))
        fail_msg("%.200s: %s: \"%s\" does not name %s", json, sh_cause_info(got)->name, sh_detail(),
                 detail);
    assert_null(bundle);
}

static void the_example_is_read(void **state SH_UNUSED)
{
    Simhop__Bundle *b = must_read(example, example_len);
    assert_string_equal(b->anchor->name, "Old phone");
    assert_int_equal(b->anchor->kind, SIMHOP__DEVICE_KIND__DEVICE_KIND_PHONE);
    assert_int_equal(b->n_lines, 2);
    const Simhop__ProfileInstance *line = b->lines[0];
    assert_string_equal(line->iccid, "8949449999999990007");
    assert_int_equal(line->relation, SIMHOP__RELATION__RELATION_COMPANION_OWN_NUMBER);
    assert_int_equal(line->icon.len, 84);
    assert_memory_equal(line->icon.data, "\x89PNG\r\n\x1a\n", 8);
    assert_memory_equal(line->icon.data + 76, "IEND\xae\x42\x60\x82", 8);
    assert_string_equal(line->acquisition->activation_code->smdp_address,
                        "testsmdpplus1.example.com");
    assert_false(line->acquisition->activation_code->confirmation_code_required);
    assert_true(line->acquisition->single_use);
    assert_int_equal(line->n_apns, 2);
    assert_int_equal(line->apns[0]->n_purposes, 2);
    assert_int_equal(line->apns[0]->purposes[1], SIMHOP__APN_PURPOSE__APN_PURPOSE_TETHERING);
    assert_int_equal(line->apns[0]->mtu, 1430);
    assert_int_equal(line->valid_until, 1893456000);
    line = b->lines[1];
    assert_true(line->acquisition->activation_code->confirmation_code_required);
    assert_int_equal(line->acquisition->method,
                     SIMHOP__ACQUISITION_METHOD__ACQUISITION_ACTIVATION_CODE);
    assert_string_equal(line->apns[0]->password, "guest");
    assert_int_equal(b->policies[0]->max_devices, 3);
    sh_bundle_content_free(b);
}

static void the_example_is_that_of_the_documentation(void **state SH_UNUSED)
{
    char *page = calloc(1, 65536);
    FILE *f = fopen(TEST_DATA "/../../docs/bundle.md", "r");
    assert_non_null(f);
    assert_true(fread(page, 1, 65535, f) > 0);
    fclose(f);
    assert_non_null(strstr(page, example));
    free(page);
}

static void what_is_shown_can_be_read_again(void **state SH_UNUSED)
{
    Simhop__Bundle *first = must_read(example, example_len);
    char *shown = NULL, *again = NULL;
    assert_int_equal(sh_bundle_to_json(first, true, &shown), SH_OK);
    Simhop__Bundle *second = must_read(shown, strlen(shown));
    assert_int_equal(sh_bundle_to_json(second, true, &again), SH_OK);
    assert_string_equal(shown, again);
    size_t n = simhop__bundle__get_packed_size(first);
    assert_int_equal(n, simhop__bundle__get_packed_size(second));
    uint8_t *a = malloc(n), *b = malloc(n);
    simhop__bundle__pack(first, a);
    simhop__bundle__pack(second, b);
    assert_memory_equal(a, b, n);
    free(a);
    free(b);
    free(shown);
    free(again);
    sh_bundle_content_free(first);
    sh_bundle_content_free(second);
}

static void secrets_are_shown_only_when_asked_for(void **state SH_UNUSED)
{
    Simhop__Bundle *b = must_read(example, example_len);
    static const char *const secrets[] = {"$TS48V2-SAIP2", "TS48V1-B-UNIQUE", "password\": \"guest",
                                          "password\": \"example"};
    char *hidden = NULL, *shown = NULL, *text = NULL;
    assert_int_equal(sh_bundle_to_json(b, false, &hidden), SH_OK);
    assert_int_equal(sh_bundle_to_json(b, true, &shown), SH_OK);
    for (size_t i = 0; i < SH_COUNT(secrets); i++) {
        assert_null(strstr(hidden, secrets[i]));
        assert_non_null(strstr(shown, secrets[i]));
    }
    assert_non_null(strstr(hidden, "\"LPA:1$testsmdpplus1.example.com$(hidden)\""));
    assert_non_null(strstr(hidden, "\"LPA:1$testsmdpplus1.example.com$(hidden)$$1\""));
    must_refuse(hidden, strlen(hidden), SH_USAGE_BAD_INPUT, "activation_code: was hidden");

    assert_int_equal(sh_bundle_to_text(b, false, &text), SH_OK);
    assert_non_null(strstr(text, "Work"));
    assert_non_null(strstr(text, "needs the carrier's confirmation code"));
    assert_null(strstr(text, "$TS48V2-SAIP2"));
    assert_null(strstr(text, "password guest"));
    free(text);
    assert_int_equal(sh_bundle_to_text(b, true, &text), SH_OK);
    assert_non_null(strstr(text, "$TS48V2-SAIP2"));
    assert_non_null(strstr(text, "password guest"));
    free(text);
    free(hidden);
    free(shown);
    sh_bundle_content_free(b);
}

static void temporary_tokens_are_secrets(void **state SH_UNUSED)
{
    static const char json[] =
        LINE(",\"acquisition\":{\"method\":\"ts43\",\"temporary_token\":\"T0KEN\",\"temporary_"
             "token_targets\":"
             "[\"a\",\"b\"],\"reservation_id\":\"00ff\",\"temporary_token_expiry\":1}");
    Simhop__Bundle *b = must_read(json, strlen(json));
    char *text = NULL;
    assert_int_equal(b->lines[0]->acquisition->n_temporary_token_targets, 2);
    assert_int_equal(b->lines[0]->acquisition->reservation_id.len, 2);
    assert_int_equal(b->lines[0]->acquisition->reservation_id.data[1], 0xff);
    assert_int_equal(sh_bundle_to_json(b, false, &text), SH_OK);
    assert_null(strstr(text, "T0KEN"));
    free(text);
    assert_int_equal(sh_bundle_to_text(b, false, &text), SH_OK);
    assert_null(strstr(text, "T0KEN"));
    free(text);
    sh_bundle_content_free(b);
}

static void typing_errors_are_found(void **state SH_UNUSED)
{
    static const struct {
        const char *json;
        enum sh_cause cause;
        const char *detail;
    } cases[] = {
        {LINE(",\"apn\":[]"), SH_USAGE_BAD_INPUT, "lines[0]: key \"apn\": not known"},
        {LINE(",\"\\u001b[31m\":1"), SH_USAGE_BAD_INPUT, "lines[0]: a key: not known"},
        {"{\"Lines\":[]}", SH_USAGE_BAD_INPUT, "key \"Lines\": not known"},
        {LINE(",\"iccid\":\"8949449999999990031\""), SH_USAGE_BAD_INPUT,
         "lines[0]: key \"iccid\": comes twice"},
        {LINE(",\"icon\":\"\",\"icon_file\":\"x\""), SH_USAGE_BAD_INPUT, "comes twice"},
        {"[]", SH_USAGE_BAD_INPUT, "bundle: not an object"},
        {"{\"lines\":{}}", SH_USAGE_BAD_INPUT, "lines: not a list"},
        {"{\"lines\":[1]}", SH_USAGE_BAD_INPUT, "lines[0]: not an object"},
        {"{\"anchor\":[]}", SH_USAGE_BAD_INPUT, "anchor: not an object"},
        {"{\"anchor\":null}", SH_USAGE_BAD_INPUT, "anchor: not an object"},
        {LINE(",\"nickname\":1"), SH_USAGE_BAD_INPUT, "lines[0].nickname: not a string"},
        {LINE(",\"relation\":\"Move\""), SH_USAGE_BAD_INPUT, "lines[0].relation: not a word"},
        {LINE(",\"relation\":3"), SH_USAGE_BAD_INPUT, "lines[0].relation: not a word"},
        {LINE(",\"apns\":[{\"name\":\"a\",\"ip_type\":\"ipv5\"}]"), SH_USAGE_BAD_INPUT,
         "lines[0].apns[0].ip_type"},
        {LINE(",\"apns\":[{\"name\":\"a\",\"home_only\":1}]"), SH_USAGE_BAD_INPUT,
         "lines[0].apns[0].home_only: not true"},
        {LINE(",\"apns\":[{\"name\":\"a\"},{\"name\":\"a\",\"mtu\":-1}]"), SH_USAGE_BAD_INPUT,
         "lines[0].apns[1].mtu"},
        {LINE(",\"apns\":[{\"name\":\"a\",\"mtu\":4294967296}]"), SH_USAGE_BAD_INPUT, "mtu"},
        {LINE(",\"apns\":[{\"name\":\"a\",\"mtu\":1400.5}]"), SH_USAGE_BAD_INPUT, "mtu"},
        {LINE(",\"apns\":[{\"name\":\"a\",\"mtu\":true}]"), SH_USAGE_BAD_INPUT, "mtu"},
        {LINE(",\"apns\":[{\"name\":\"a\",\"password\":\"(hidden)\"}]"), SH_USAGE_BAD_INPUT,
         "lines[0].apns[0].password: was hidden"},
        {LINE(",\"apns\":[{\"name\":\"a\",\"purposes\":[\"internet\",5]}]"), SH_USAGE_BAD_INPUT,
         "lines[0].apns[0].purposes[1]"},
        {LINE(",\"notifications\":[\"a\",2]"), SH_USAGE_BAD_INPUT, "lines[0].notifications[1]"},
        {LINE(",\"valid_until\":1e300"), SH_USAGE_BAD_INPUT, "valid_until"},
        {LINE(",\"valid_until\":\"x\""), SH_USAGE_BAD_INPUT, "valid_until"},
        {LINE(",\"valid_until\":\"99999999999999999999\""), SH_USAGE_BAD_INPUT, "valid_until"},
        {LINE(",\"valid_until\":\"9223372036854775808\""), SH_USAGE_BAD_INPUT, "valid_until"},
        {LINE(",\"icon\":\"not base64!\""), SH_USAGE_BAD_INPUT, "lines[0].icon: not base64"},
        {LINE(",\"icon\":\"iVBORw0KGgo=AAAA\""), SH_USAGE_BAD_INPUT, "not base64"},
        {LINE(",\"icon\":\"iVBORw0KGg===\""), SH_USAGE_BAD_INPUT, "not base64"},
        {LINE(",\"icon\":\" iVBORw0KGgox\""), SH_USAGE_BAD_INPUT, "not base64"},
        {LINE(",\"icon\":\"AAA\""), SH_USAGE_BAD_INPUT, "lines[0].icon: not base64"},
        {LINE(",\"icon\":\"AAAA\""), SH_BUNDLE_MALFORMED, "lines[0].icon: neither"},
        {LINE(",\"icon_file\":\"/nonexistent/x.png\""), SH_SOURCE_UNREADABLE,
         "lines[0].icon_file: No such file"},
        {LINE(",\"icon_file\":\"/dev/zero\""), SH_SOURCE_UNREADABLE, "not a plain file"},
        {LINE(",\"acquisition\":{\"reservation_id\":\"0\"}"), SH_USAGE_BAD_INPUT,
         "not hexadecimal"},
        {LINE(",\"acquisition\":{\"reservation_id\":\"0 \"}"), SH_USAGE_BAD_INPUT,
         "not hexadecimal"},
        {LINE(",\"acquisition\":{\"activation_code\":\"LPA:1$a$b_c\"}"), SH_ACTIVATION_BAD_CODE,
         "lines[0].acquisition.activation_code: matching id"},
        {LINE(",\"acquisition\":{\"activation_code\":{}}"), SH_USAGE_BAD_INPUT, "activation_code"},
        {LINE("},{\"iccid\":\"8949449999999990007\""), SH_BUNDLE_MALFORMED, "lines[1].iccid"},
        {LINE(",\"nickname\":\"a\\u0007\""), SH_BUNDLE_MALFORMED, "lines[0].nickname"},
        {LINE(",\"nickname\":\"a\\u0000b\""), SH_USAGE_BAD_INPUT, "NUL"},
        {LINE(",\"nickname\":\"\xff\""), SH_BUNDLE_MALFORMED, "lines[0].nickname"},
        {"{\"recipient\":{\"name\":\"x\"}}", SH_USAGE_BAD_INPUT, "recipient: is filled in"},
        {"{\"revision\":1}", SH_USAGE_BAD_INPUT, "revision: is filled in"},
        {"{\"token\":{}}", SH_USAGE_BAD_INPUT, "token: is filled in"},
        {"{\"consent\":{}}", SH_USAGE_BAD_INPUT, "consent: is filled in"},
        {"", SH_USAGE_BAD_INPUT, "empty"},
        {"{", SH_USAGE_BAD_INPUT, "not JSON"},
        {"{\n\n\"lines\": oops}", SH_USAGE_BAD_INPUT, "line 3"},
        {"{} {}", SH_USAGE_BAD_INPUT, "follows"},
    };
    for (size_t i = 0; i < SH_COUNT(cases); i++)
        must_refuse(cases[i].json, strlen(cases[i].json), cases[i].cause, cases[i].detail);
    must_refuse("{}\0", 3, SH_USAGE_BAD_INPUT, "NUL");
}

static void a_code_of_version_3_stays_whole(void **state SH_UNUSED)
{
    static const char json[] =
        LINE(",\"acquisition\":{\"activation_code\":\"LPA:1$a$b$$$1234ABCD$BF2F00\"}");
    Simhop__Bundle *bundle = NULL;
    char *text = NULL;
    assert_int_equal(sh_bundle_from_json(SH_BYTES(json, strlen(json)), NULL, &bundle), SH_OK);
    assert_string_equal(bundle->lines[0]->acquisition->activation_code->delete_notification,
                        "BF2F00");
    assert_int_equal(sh_bundle_to_json(bundle, true, &text), SH_OK);
    assert_non_null(strstr(text, "LPA:1$a$b$$$1234ABCD$BF2F00"));
    free(text);
    sh_bundle_content_free(bundle);
}

static void secrets_are_not_in_details(void **state SH_UNUSED)
{
    static const char *const cases[] = {
        LINE(",\"acquisition\":{\"activation_code\":\"LPA:1$a$S3CRET_\"}"),
        LINE(",\"apns\":[{\"name\":\"a\",\"password\":\"S3CRET\\u0007\"}]"),
        LINE(",\"acquisition\":{\"temporary_token\":\"S3CRET\\u0007\"}"),
    };
    for (size_t i = 0; i < SH_COUNT(cases); i++) {
        Simhop__Bundle *b = NULL;
        assert_int_not_equal(sh_bundle_from_json(SH_BYTES(cases[i], strlen(cases[i])), NULL, &b),
                             SH_OK);
        assert_null(strstr(sh_detail(), "S3CRET"));
    }
}

static void deep_and_huge(void **state SH_UNUSED)
{
    size_t n = SH_BUNDLE_JSON_MAX + 1;
    char *big = malloc(n);
    memset(big, '[', n);
    must_refuse(big, n, SH_USAGE_BAD_INPUT, "larger than 1 MiB");
    must_refuse(big, n - 1, SH_USAGE_BAD_INPUT, "nested too deep");
    must_refuse(big, 900, SH_USAGE_BAD_INPUT, "not JSON");
    memset(big, ' ', n);
    memcpy(big, "{}", 2);
    sh_bundle_content_free(must_read(big, n - 1));
    /* 999 levels of lists where an object is wanted */
    memset(big, '[', 999);
    memset(big + 999, ']', 999);
    must_refuse(big, 1998, SH_USAGE_BAD_INPUT, "not an object");

    static const char head[] = "{\"lines\":[", line[] = "{},";
    size_t at = sizeof(head) - 1;
    memcpy(big, head, at);
    for (int i = 0; i < 17; i++, at += 3)
        memcpy(big + at, line, 3);
    memcpy(big + at - 1, "]}", 2);
    must_refuse(big, at + 1, SH_BUNDLE_TOO_LARGE, "lines[16]");
    free(big);
}

static void icons_of_any_length_come_back(void **state SH_UNUSED)
{
    static const char *const icons[] = {"iVBORw0KGgox", "iVBORw0KGgoxMg==", "iVBORw0KGgoxMjM="};
    for (size_t i = 0; i < SH_COUNT(icons); i++) {
        char json[256], *text = NULL;
        snprintf(json, sizeof(json), LINE(",\"icon\":\"%s\""), icons[i]);
        Simhop__Bundle *b = must_read(json, strlen(json));
        assert_int_equal(b->lines[0]->icon.len, 9 + i);
        assert_memory_equal(b->lines[0]->icon.data, "\x89PNG\r\n\x1a\n123", 9 + i);
        assert_int_equal(sh_bundle_to_json(b, false, &text), SH_OK);
        assert_non_null(strstr(text, icons[i]));
        free(text);
        sh_bundle_content_free(b);
    }
}

static void large_numbers_are_exact(void **state SH_UNUSED)
{
    static const char json[] = "{\"allocation\":{\"pool\":\"p\",\"bytes\":\"18446744073709551615\","
                               "\"generation\":9007199254740992,"
                               "\"shares\":[{\"weight\":\"7\",\"warning_percents\":[80,95]}]}}";
    Simhop__Bundle *b = must_read(json, strlen(json));
    assert_true(b->allocation->bytes == UINT64_MAX);
    assert_true(b->allocation->generation == UINT64_C(9007199254740992));
    assert_int_equal(b->allocation->shares[0]->weight, 7);
    assert_int_equal(b->allocation->shares[0]->warning_percents[1], 95);
    char *text = NULL;
    assert_int_equal(sh_bundle_to_json(b, false, &text), SH_OK);
    assert_non_null(strstr(text, "\"bytes\": \"18446744073709551615\""));
    assert_non_null(strstr(text, "\"generation\": 9007199254740992"));
    assert_non_null(strstr(text, "[80, 95]"));
    free(text);
    sh_bundle_content_free(b);
}

static void padding_of_a_card_number_is_dropped(void **state SH_UNUSED)
{
    static const char json[] = "{\"lines\":[{\"iccid\":\"8949449999999990007F\"}]}";
    Simhop__Bundle *b = must_read(json, strlen(json));
    assert_string_equal(b->lines[0]->iccid, "8949449999999990007");
    sh_bundle_content_free(b);
}

static void icon_files_are_relative_to_the_folder(void **state SH_UNUSED)
{
    static const char json[] = LINE(",\"icon_file\":\"icon.png\"");
    static const char png[] = "\x89PNG\r\n\x1a\n and more";
    char folder[] = "/tmp/simhop-test-XXXXXX", path[64];
    Simhop__Bundle *b = NULL;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/icon.png", folder);
    FILE *f = fopen(path, "w");
    assert_int_equal(fwrite(png, 1, sizeof(png), f), sizeof(png));
    fclose(f);
    assert_int_equal(sh_bundle_from_json(SH_BYTES(json, strlen(json)), folder, &b), SH_OK);
    assert_int_equal(b->lines[0]->icon.len, sizeof(png));
    assert_memory_equal(b->lines[0]->icon.data, png, sizeof(png));
    sh_bundle_content_free(b);
    b = NULL;
    assert_int_equal(truncate(path, SH_BUNDLE_ICON_MAX), 0);
    assert_int_equal(sh_bundle_from_json(SH_BYTES(json, strlen(json)), folder, &b), SH_OK);
    sh_bundle_content_free(b);
    b = NULL;
    assert_int_equal(truncate(path, SH_BUNDLE_ICON_MAX + 1), 0);
    assert_int_equal(sh_bundle_from_json(SH_BYTES(json, strlen(json)), folder, &b),
                     SH_USAGE_BAD_INPUT);
    unlink(path);
    rmdir(folder);
}

static void what_is_shown_is_json_also_of_odd_texts(void **state SH_UNUSED)
{
    static const char json[] = LINE(",\"nickname\":\"\\\"quoted\\\" \\\\ /\xc3\xbc\"");
    Simhop__Bundle *b = must_read(json, strlen(json)), *again;
    char *text = NULL;
    assert_string_equal(b->lines[0]->nickname, "\"quoted\" \\ /\xc3\xbc");
    assert_int_equal(sh_bundle_to_json(b, false, &text), SH_OK);
    again = must_read(text, strlen(text));
    assert_string_equal(again->lines[0]->nickname, b->lines[0]->nickname);
    free(text);
    sh_bundle_content_free(b);
    sh_bundle_content_free(again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_is_read),
        cmocka_unit_test(the_example_is_that_of_the_documentation),
        cmocka_unit_test(what_is_shown_can_be_read_again),
        cmocka_unit_test(secrets_are_shown_only_when_asked_for),
        cmocka_unit_test(temporary_tokens_are_secrets),
        cmocka_unit_test(typing_errors_are_found),
        cmocka_unit_test(a_code_of_version_3_stays_whole),
        cmocka_unit_test(secrets_are_not_in_details),
        cmocka_unit_test(deep_and_huge),
        cmocka_unit_test(icons_of_any_length_come_back),
        cmocka_unit_test(large_numbers_are_exact),
        cmocka_unit_test(padding_of_a_card_number_is_dropped),
        cmocka_unit_test(icon_files_are_relative_to_the_folder),
        cmocka_unit_test(what_is_shown_is_json_also_of_odd_texts),
    };
    return cmocka_run_group_tests(tests, read_example, drop_example);
}
