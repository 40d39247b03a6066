/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "profile/activation_code.h"
#include "profile/bundle.h"

#define NOW INT64_C(1800000000)

/* protobuf-c has no const texts. */
#define T(text) ((char *)(uintptr_t)(text))

/* A bundle on the stack that each test spoils in its own way. */
struct sample {
    Simhop__Bundle bundle;
    Simhop__Device anchor, recipient;
    Simhop__ProfileInstance line, more[SH_BUNDLE_LINES_MAX];
    Simhop__ProfileInstance *lines[SH_BUNDLE_LINES_MAX + 1];
    Simhop__Acquisition acquisition;
    Simhop__ActivationCode code;
    Simhop__Apn apn;
    Simhop__Apn *apns[SH_BUNDLE_APNS_MAX + 1];
    Simhop__CarrierPolicy policy;
    Simhop__CarrierPolicy *policies[1];
    char iccids[SH_BUNDLE_LINES_MAX][21];
    uint8_t icon[SH_BUNDLE_ICON_MAX + 1];
    char long_text[70000];
};

static struct sample s;
static struct sh_identity *anchor, *tablet;

static void sample_init(void)
{
    memset(&s, 0, sizeof(s));
    simhop__bundle__init(&s.bundle);
    simhop__device__init(&s.anchor);
    simhop__device__init(&s.recipient);
    simhop__profile_instance__init(&s.line);
    simhop__acquisition__init(&s.acquisition);
    simhop__activation_code__init(&s.code);
    simhop__apn__init(&s.apn);
    simhop__carrier_policy__init(&s.policy);
    s.code.smdp_address = T("smdp.example.com");
    s.code.matching_id = T("ABC-1");
    s.acquisition.method = SIMHOP__ACQUISITION_METHOD__ACQUISITION_ACTIVATION_CODE;
    s.acquisition.activation_code = &s.code;
    s.apn.name = T("internet");
    s.line.iccid = T("8949449999999990007");
    s.line.acquisition = &s.acquisition;
    s.line.n_apns = 1;
    s.line.apns = s.apns;
    for (size_t i = 0; i < SH_COUNT(s.apns); i++)
        s.apns[i] = &s.apn;
    s.lines[0] = &s.line;
    for (size_t i = 0; i < SH_COUNT(s.more); i++) {
        simhop__profile_instance__init(&s.more[i]);
        memcpy(s.iccids[i], "8949449999999990100", 20);
        s.iccids[i][17] = (char)('0' + i / 10);
        s.iccids[i][18] = (char)('0' + i % 10);
        s.more[i].iccid = s.iccids[i];
        s.lines[i + 1] = &s.more[i];
    }
    s.bundle.n_lines = 1;
    s.bundle.lines = s.lines;
    s.anchor.name = T("Phone");
    s.bundle.anchor = &s.anchor;
    s.policies[0] = &s.policy;
    s.bundle.policies = s.policies;
    s.recipient.id.data = tablet->id;
    s.recipient.id.len = SH_DEVICE_ID_SIZE;
    s.recipient.eid = T("89049032123451234512345678901235");
    memcpy(s.icon, "\x89PNG\r\n\x1a\n", 8);
}

static int set_up(void **state SH_UNUSED)
{
    return sh_identity_new(NOW, &anchor) != SH_OK || sh_identity_new(NOW, &tablet) != SH_OK;
}

static int tear_down(void **state SH_UNUSED)
{
    sh_identity_free(anchor);
    sh_identity_free(tablet);
    return 0;
}

static int before_each(void **state SH_UNUSED)
{
    sample_init();
    return 0;
}

struct sealed {
    uint8_t *p;
    size_t n;
    uint8_t *key;
    size_t key_len;
};

static struct sealed seal(struct sh_identity *by)
{
    struct sealed sealed = {0};
    assert_int_equal(sh_bundle_seal(&s.bundle, by, &sealed.p, &sealed.n), SH_OK);
    assert_int_equal(sh_public_key_der(by->key, &sealed.key, &sealed.key_len), SH_OK);
    return sealed;
}

static struct sealed issue(uint64_t revision, int64_t draft_expiry)
{
    struct sealed sealed = {0};
    struct sh_bundle draft = {.bundle = &s.bundle, .draft = true};
    struct sh_bundle_issue how = {
        .revision = revision, .now = NOW, .anchor = &s.anchor, .recipient = &s.recipient};
    s.bundle.expiry = draft_expiry;
    assert_int_equal(sh_bundle_issue(&draft, &how, anchor, &sealed.p, &sealed.n), SH_OK);
    assert_int_equal(sh_public_key_der(anchor->key, &sealed.key, &sealed.key_len), SH_OK);
    return sealed;
}

static void drop(struct sealed *sealed)
{
    free(sealed->p);
    free(sealed->key);
}

static void sealed_opens_with_and_without_the_key(void **state SH_UNUSED)
{
    struct sealed sealed = seal(anchor);
    for (int known = 0; known < 2; known++) {
        struct sh_bundle *bundle = NULL;
        assert_int_equal(sh_bundle_open(SH_BYTES(sealed.p, sealed.n),
                                        SH_BYTES(sealed.key, known ? sealed.key_len : 0), &bundle),
                         SH_OK);
        assert_true(bundle->draft);
        assert_memory_equal(bundle->signer, anchor->id, SH_DEVICE_ID_SIZE);
        assert_string_equal(bundle->bundle->anchor->name, "Phone");
        assert_memory_equal(bundle->bundle->anchor->id.data, anchor->id, SH_DEVICE_ID_SIZE);
        assert_int_equal(bundle->bundle->n_lines, 1);
        assert_string_equal(bundle->bundle->lines[0]->iccid, "8949449999999990007");
        assert_string_equal(bundle->bundle->lines[0]->acquisition->activation_code->matching_id,
                            "ABC-1");
        sh_bundle_free(bundle);
    }
    drop(&sealed);
}

static void every_flipped_byte_is_refused(void **state SH_UNUSED)
{
    struct sealed sealed = seal(anchor);
    for (int known = 0; known < 2; known++) {
        struct sh_bytes key = SH_BYTES(sealed.key, known ? sealed.key_len : 0);
        for (size_t i = 0; i < sealed.n; i++) {
            struct sh_bundle *bundle = NULL;
            sealed.p[i] ^= (uint8_t)(1U << i % 8);
            enum sh_cause cause = sh_bundle_open(SH_BYTES(sealed.p, sealed.n), key, &bundle);
            assert_int_not_equal(cause, SH_OK);
            assert_int_equal(sh_cause_info(cause)->category, SH_CAT_DATA);
            assert_null(bundle);
            sealed.p[i] ^= (uint8_t)(1U << i % 8);
        }
        for (size_t n = 0; n < sealed.n; n++) {
            struct sh_bundle *bundle = NULL;
            assert_int_not_equal(sh_bundle_open(SH_BYTES(sealed.p, n), key, &bundle), SH_OK);
        }
    }
    drop(&sealed);
}

static void another_signer_is_not_ours(void **state SH_UNUSED)
{
    struct sealed ours = seal(anchor), theirs = seal(tablet);
    struct sh_bundle *bundle = NULL;
    assert_int_equal(
        sh_bundle_open(SH_BYTES(theirs.p, theirs.n), SH_BYTES(ours.key, ours.key_len), &bundle),
        SH_BUNDLE_NOT_OURS);
    /* The same bytes under our id do not have our signature. */
    Simhop__SignedBundle *outer = simhop__signed_bundle__unpack(NULL, theirs.n, theirs.p);
    memcpy(outer->signer_key_id.data, anchor->id, SH_DEVICE_ID_SIZE);
    simhop__signed_bundle__pack(outer, theirs.p);
    assert_int_equal(
        sh_bundle_open(SH_BYTES(theirs.p, theirs.n), SH_BYTES(ours.key, ours.key_len), &bundle),
        SH_BUNDLE_BAD_SIGNATURE);
    /* And without a known key, the id does not fit the key inside. */
    assert_int_equal(sh_bundle_open(SH_BYTES(theirs.p, theirs.n), SH_BYTES(NULL, 0), &bundle),
                     SH_BUNDLE_NOT_OURS);
    simhop__signed_bundle__free_unpacked(outer, NULL);
    assert_null(bundle);
    drop(&ours);
    drop(&theirs);
}

static void a_later_format_is_refused(void **state SH_UNUSED)
{
    struct sealed sealed = seal(anchor);
    struct sh_bundle *bundle = NULL;
    Simhop__SignedBundle *outer = simhop__signed_bundle__unpack(NULL, sealed.n, sealed.p);
    outer->format = 2;
    simhop__signed_bundle__pack(outer, sealed.p);
    simhop__signed_bundle__free_unpacked(outer, NULL);
    assert_int_equal(sh_bundle_open(SH_BYTES(sealed.p, sealed.n), SH_BYTES(NULL, 0), &bundle),
                     SH_BUNDLE_MALFORMED);
    drop(&sealed);
}

static enum sh_cause accept(const struct sealed *sealed, const uint8_t *id, const char *eid,
                            uint64_t last, int64_t now)
{
    struct sh_bundle *bundle = NULL;
    assert_int_equal(sh_bundle_open(SH_BYTES(sealed->p, sealed->n),
                                    SH_BYTES(sealed->key, sealed->key_len), &bundle),
                     SH_OK);
    enum sh_cause cause = sh_bundle_accept(bundle, id, eid, last, now);
    sh_bundle_free(bundle);
    return cause;
}

static void only_a_fresh_issue_for_us_is_accepted(void **state SH_UNUSED)
{
    const char *eid = s.recipient.eid;
    struct sealed issued = issue(7, 0), draft;
    assert_int_equal(accept(&issued, tablet->id, eid, 6, NOW), SH_OK);
    assert_int_equal(accept(&issued, tablet->id, "", 0, NOW - 86400), SH_OK);
    assert_int_equal(accept(&issued, anchor->id, eid, 6, NOW), SH_BUNDLE_NOT_FOR_US);
    assert_int_equal(accept(&issued, tablet->id, "89049032000000000000000000000163", 6, NOW),
                     SH_BUNDLE_NOT_FOR_US);
    assert_int_equal(accept(&issued, tablet->id, eid, 7, NOW), SH_BUNDLE_STALE);
    assert_int_equal(accept(&issued, tablet->id, eid, 8, NOW), SH_BUNDLE_STALE);
    assert_int_equal(accept(&issued, tablet->id, eid, 6, NOW + SH_BUNDLE_SECONDS - 1), SH_OK);
    assert_int_equal(accept(&issued, tablet->id, eid, 6, NOW + SH_BUNDLE_SECONDS),
                     SH_BUNDLE_EXPIRED);
    sample_init();
    draft = seal(anchor);
    assert_int_equal(accept(&draft, tablet->id, eid, 0, NOW), SH_BUNDLE_NOT_FOR_US);
    drop(&issued);
    drop(&draft);
}

static void a_draft_may_shorten_its_life(void **state SH_UNUSED)
{
    struct sealed issued = issue(1, NOW + 60);
    assert_int_equal(accept(&issued, tablet->id, "", 0, NOW + 59), SH_OK);
    assert_int_equal(accept(&issued, tablet->id, "", 0, NOW + 60), SH_BUNDLE_EXPIRED);
    drop(&issued);
    issued = issue(1, NOW + 10 * SH_BUNDLE_SECONDS);
    assert_int_equal(accept(&issued, tablet->id, "", 0, NOW + SH_BUNDLE_SECONDS),
                     SH_BUNDLE_EXPIRED);
    drop(&issued);
    struct sh_bundle draft = {.bundle = &s.bundle, .draft = true};
    struct sh_bundle_issue how = {
        .revision = 1, .now = NOW, .anchor = &s.anchor, .recipient = &s.recipient};
    s.bundle.expiry = NOW;
    assert_int_equal(sh_bundle_issue(&draft, &how, anchor, &issued.p, &issued.n),
                     SH_BUNDLE_EXPIRED);
}

static void issues_of_one_draft_have_their_own_ids(void **state SH_UNUSED)
{
    uint8_t draft_id[16] = {1};
    s.bundle.id.data = draft_id;
    s.bundle.id.len = sizeof(draft_id);
    struct sealed sealed[2] = {issue(1, 0), issue(2, 0)};
    uint8_t ids[2][16];
    for (size_t i = 0; i < 2; i++) {
        struct sh_bundle *bundle = NULL;
        assert_int_equal(
            sh_bundle_open(SH_BYTES(sealed[i].p, sealed[i].n), SH_BYTES(NULL, 0), &bundle), SH_OK);
        assert_int_equal(bundle->bundle->revision, i + 1);
        assert_false(bundle->draft);
        assert_int_equal(bundle->bundle->id.len, 16);
        memcpy(ids[i], bundle->bundle->id.data, 16);
        sh_bundle_free(bundle);
        drop(&sealed[i]);
    }
    assert_memory_not_equal(ids[0], ids[1], 16);
    assert_memory_not_equal(ids[0], draft_id, 16);
}

static void sizes(void **state SH_UNUSED)
{
    struct sh_bundle *bundle = NULL;
    uint8_t *bytes = NULL;
    size_t n = 0;
    s.bundle.n_lines = SH_BUNDLE_LINES_MAX;
    assert_int_equal(sh_bundle_validate(&s.bundle), SH_OK);
    s.bundle.n_lines = SH_BUNDLE_LINES_MAX + 1;
    assert_int_equal(sh_bundle_validate(&s.bundle), SH_BUNDLE_TOO_LARGE);
    s.bundle.n_lines = 1;
    s.line.n_apns = SH_BUNDLE_APNS_MAX;
    assert_int_equal(sh_bundle_validate(&s.bundle), SH_OK);
    s.line.n_apns = SH_BUNDLE_APNS_MAX + 1;
    assert_int_equal(sh_bundle_validate(&s.bundle), SH_BUNDLE_TOO_LARGE);

    /* Each field is within its limits, but all together are not within 64 KiB. */
    sample_init();
    char *targets[32];
    memset(s.long_text, 'x', 256);
    for (size_t i = 0; i < SH_COUNT(targets); i++)
        targets[i] = s.long_text;
    s.bundle.n_lines = SH_BUNDLE_LINES_MAX;
    for (size_t i = 0; i < SH_BUNDLE_LINES_MAX; i++) {
        s.lines[i]->n_notifications = SH_COUNT(targets);
        s.lines[i]->notifications = targets;
    }
    assert_int_equal(sh_bundle_validate(&s.bundle), SH_OK);
    assert_int_equal(sh_bundle_seal(&s.bundle, anchor, &bytes, &n), SH_BUNDLE_TOO_LARGE);
    assert_null(bytes);
    static uint8_t large[SH_BUNDLE_MAX + 1];
    assert_int_equal(sh_bundle_open(SH_BYTES(large, sizeof(large)), SH_BYTES(NULL, 0), &bundle),
                     SH_BUNDLE_TOO_LARGE);
}

static void expect(enum sh_cause cause, const char *detail)
{
    sh_detail_clear();
    assert_int_equal(sh_bundle_validate(&s.bundle), cause);
    if (!strstr(sh_detail(), detail))
        fail_msg("\"%s\" does not name %s", sh_detail(), detail);
    sample_init();
}

static void unknown_values_that_decide_are_refused(void **state SH_UNUSED)
{
    s.line.relation = (Simhop__Relation)99;
    expect(SH_BUNDLE_UNKNOWN_ENUM, "lines[0].relation");
    s.acquisition.method = (Simhop__AcquisitionMethod)99;
    expect(SH_BUNDLE_UNKNOWN_ENUM, "lines[0].acquisition.method");
    s.apn.ip_type = (Simhop__IpType)-1;
    expect(SH_BUNDLE_UNKNOWN_ENUM, "lines[0].apns[0].ip_type");
    s.apn.auth = (Simhop__ApnAuth)5;
    expect(SH_BUNDLE_UNKNOWN_ENUM, "lines[0].apns[0].auth");
    /* These decide nothing. */
    s.line.state = (Simhop__ProfileState)99;
    s.line.profile_class = (Simhop__ProfileClass)99;
    expect(SH_OK, "");
}

/* A text field of the sample, a value and what it is. */
static void texts_are_bounded_and_safe(void **state SH_UNUSED)
{
    struct {
        char **field;
        size_t max;
        const char *name;
    } fields[] = {
        {&s.line.provider_name, 32, "lines[0].provider_name"},
        {&s.line.profile_name, 64, "lines[0].profile_name"},
        {&s.line.nickname, 64, "lines[0].nickname"},
        {&s.anchor.name, 64, "anchor.name"},
        {&s.apn.user, 128, "lines[0].apns[0].user"},
        {&s.apn.password, 128, "lines[0].apns[0].password"},
        {&s.apn.name, 64, "lines[0].apns[0].name"},
    };
    for (size_t i = 0; i < SH_COUNT(fields); i++) {
        memset(s.long_text, 'x', fields[i].max);
        *fields[i].field = s.long_text;
        expect(SH_OK, "");
        memset(s.long_text, 'x', fields[i].max + 1);
        *fields[i].field = s.long_text;
        expect(SH_BUNDLE_MALFORMED, fields[i].name);
        *fields[i].field = T("\x1b]0;owned\x07");
        expect(SH_BUNDLE_MALFORMED, fields[i].name);
        *fields[i].field = T("\xff");
        expect(SH_BUNDLE_MALFORMED, fields[i].name);
    }
}

static void forms_are_checked(void **state SH_UNUSED)
{
    const struct {
        char **field;
        const char *good, *bad[4], *name;
    } fields[] = {
        {&s.line.iccid,
         "894944999999999000",
         {"89494499999999900", "894944999999999000700", "894944999999999000F", "x"},
         "lines[0].iccid"},
        {&s.line.mcc, "001", {"1", "0001", "00a", "01"}, "lines[0].mcc"},
        {&s.line.gid1, "0aFF", {"xy", "0 1", "-1", "0x1"}, "lines[0].gid1"},
        {&s.anchor.eid,
         "89049032123451234512345678901235",
         {"89049032123451234512345678901234", "1", "x", "8904903212345123451234567890123"},
         "anchor.eid"},
        {&s.anchor.imei,
         "352099001761481",
         {"352099001761482", "1", "x", "35209900176148"},
         "anchor.imei"},
        {&s.apn.name, "a.b_c-D", {"a b", "a/b", "a;b", "a=b"}, "lines[0].apns[0].name"},
        {&s.apn.mmsc,
         "http://a/",
         {"ftp://a/", "http://", "http://a b", "x"},
         "lines[0].apns[0].mmsc"},
        {&s.acquisition.entitlement_url,
         "https://aes.mnc001.mcc001.pub.3gppnetwork.org/",
         {"http://a/", "https://", "https://a\"b", "javascript:"},
         "lines[0].acquisition.entitlement_url"},
    };
    for (size_t i = 0; i < SH_COUNT(fields); i++) {
        *fields[i].field = T(fields[i].good);
        expect(SH_OK, "");
        for (size_t b = 0; b < SH_COUNT(fields[i].bad); b++) {
            *fields[i].field = T(fields[i].bad[b]);
            expect(SH_BUNDLE_MALFORMED, fields[i].name);
        }
    }
}

static void policies_are_checked(void **state SH_UNUSED)
{
    static const char *const bad[] = {"2026-13-01", "2026-02-30",  "2026-1-1",  "01.02.2026",
                                      "2026-01-00", "2026-01-01x", "+026-01-01"};
    for (size_t i = 0; i < SH_COUNT(bad); i++) {
        s.bundle.n_policies = 1;
        s.policy.as_of = T(bad[i]);
        expect(SH_BUNDLE_MALFORMED, "policies[0].as_of");
    }
    s.bundle.n_policies = 1;
    s.policy.as_of = T("2026-02-28");
    expect(SH_OK, "");
}

static void icons_are_pictures(void **state SH_UNUSED)
{
    s.line.icon.data = s.icon;
    s.line.icon.len = SH_BUNDLE_ICON_MAX;
    expect(SH_OK, "");
    s.line.icon.data = s.icon;
    s.line.icon.len = SH_BUNDLE_ICON_MAX + 1;
    expect(SH_BUNDLE_MALFORMED, "lines[0].icon");
    memcpy(s.icon, "\xff\xd8\xff\xe0", 4);
    s.line.icon.data = s.icon;
    s.line.icon.len = 100;
    expect(SH_OK, "");
    memcpy(s.icon, "GIF89a", 6);
    s.line.icon.data = s.icon;
    s.line.icon.len = 100;
    expect(SH_BUNDLE_MALFORMED, "lines[0].icon");
    s.line.icon.data = s.icon;
    s.line.icon.len = 2;
    expect(SH_BUNDLE_MALFORMED, "lines[0].icon");
}

static void what_hangs_together(void **state SH_UNUSED)
{
    s.line.mnc = T("01");
    expect(SH_BUNDLE_MALFORMED, "lines[0].mcc");
    s.line.mcc = T("001");
    s.line.mnc = T("1");
    expect(SH_BUNDLE_MALFORMED, "lines[0].mnc");
    s.line.valid_from = 2;
    s.line.valid_until = 1;
    expect(SH_BUNDLE_MALFORMED, "lines[0].valid_until");
    s.line.valid_until = -1;
    expect(SH_BUNDLE_MALFORMED, "lines[0].valid_until");
    s.apn.name = T("");
    expect(SH_BUNDLE_MALFORMED, "lines[0].apns[0].name");
    s.apn.mtu = 100;
    expect(SH_BUNDLE_MALFORMED, "lines[0].apns[0].mtu");
    s.bundle.n_lines = 2;
    s.more[0].iccid = s.line.iccid;
    expect(SH_BUNDLE_MALFORMED, "lines[1].iccid");
    /* A line whose card number the carrier has not told yet. */
    s.line.iccid = T("");
    expect(SH_OK, "");
    s.line.iccid = T("");
    s.line.acquisition = NULL;
    expect(SH_BUNDLE_MALFORMED, "lines[0]");
    s.acquisition.activation_code = NULL;
    expect(SH_BUNDLE_MALFORMED, "lines[0].acquisition.activation_code");
    s.acquisition.method = SIMHOP__ACQUISITION_METHOD__ACQUISITION_UNSPECIFIED;
    expect(SH_BUNDLE_MALFORMED, "lines[0].acquisition.method");
    s.code.matching_id = T("SECRET_1");
    expect(SH_ACTIVATION_BAD_CODE, "lines[0].acquisition.activation_code: matching id");
    s.code.matching_id = T("SECRET_1");
    assert_int_equal(sh_bundle_validate(&s.bundle), SH_ACTIVATION_BAD_CODE);
    assert_null(strstr(sh_detail(), "SECRET"));
}

static void an_issue_is_whole(void **state SH_UNUSED)
{
    uint8_t id[16] = {1};
    s.bundle.revision = 1;
    expect(SH_BUNDLE_MALFORMED, "recipient");
    for (int missing = 0; missing < 5; missing++) {
        s.bundle.recipient = &s.recipient;
        s.bundle.id = (ProtobufCBinaryData){.data = id, .len = missing == 0 ? 0 : 16};
        s.bundle.revision = missing == 1 ? 0 : 1;
        s.bundle.issued = missing == 2 ? 0 : NOW;
        s.bundle.expiry = missing == 3 ? NOW : NOW + 1;
        s.recipient.id.len = missing == 4 ? 0 : 16;
        expect(SH_BUNDLE_MALFORMED, "");
    }
    s.bundle.recipient = &s.recipient;
    s.bundle.id = (ProtobufCBinaryData){.data = id, .len = 16};
    s.bundle.revision = 1;
    s.bundle.issued = NOW;
    s.bundle.expiry = NOW + 1;
    expect(SH_OK, "");
    s.bundle.id = (ProtobufCBinaryData){.data = id, .len = 15};
    expect(SH_BUNDLE_MALFORMED, "id");
}

#define TEST(f) cmocka_unit_test_setup(f, before_each)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sealed_opens_with_and_without_the_key),
        TEST(every_flipped_byte_is_refused),
        TEST(another_signer_is_not_ours),
        TEST(a_later_format_is_refused),
        TEST(only_a_fresh_issue_for_us_is_accepted),
        TEST(a_draft_may_shorten_its_life),
        TEST(issues_of_one_draft_have_their_own_ids),
        TEST(sizes),
        TEST(unknown_values_that_decide_are_refused),
        TEST(texts_are_bounded_and_safe),
        TEST(forms_are_checked),
        TEST(policies_are_checked),
        TEST(icons_are_pictures),
        TEST(what_hangs_together),
        TEST(an_issue_is_whole),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
