/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "proto/cause.h"

#include <errno.h>
#include <regex.h>

#include "check.h"

static void test_names(void **state SH_UNUSED)
{
    regex_t shape;
    assert_int_equal(regcomp(&shape, "^[a-z]+\\.[a-z0-9-]+$", REG_EXTENDED | REG_NOSUB), 0);
    for (int i = SH_OK + 1; i < SH_CAUSE_COUNT; i++) {
        const struct sh_cause_info *info = sh_cause_info((enum sh_cause)i);
        assert_int_equal(regexec(&shape, info->name, 0, NULL, 0), 0);
        assert_int_equal(sh_cause_by_name(info->name), i); /* so no two have one name */
        assert_true(info->message[0] != '\0' && info->next[0] != '\0');
        assert_int_equal(info->message[strlen(info->message) - 1], '.');
        assert_int_not_equal(info->category, SH_CAT_DONE);
    }
    regfree(&shape);
}

/* The exit statuses are a contract. */
static void test_categories(void **state SH_UNUSED)
{
    static const struct {
        enum sh_cause cause;
        int status;
        const char *name;
    } table[] = {
        {SH_OK, 0, "done"},
        {SH_USAGE_BAD_OPTION, 2, "usage"},
        {SH_NEAR_TOO_FAR, 3, "not-near"},
        {SH_CONFIRM_WRONG_CODE, 4, "refused"},
        {SH_CONNECT_LOST, 5, "no-link"},
        {SH_PROTO_MALFORMED, 6, "data"},
        {SH_INSTALL_WRITE, 7, "install"},
        {SH_STORE_NO_SPACE, 8, "environment"},
        {SH_SESSION_INTERRUPTED, 9, "interrupted"},
        {SH_LINKED_EXPIRED, 10, "not-linked"},
    };
    for (size_t i = 0; i < SH_COUNT(table); i++) {
        enum sh_category category = sh_cause_info(table[i].cause)->category;
        assert_int_equal((int)category, table[i].status);
        assert_string_equal(sh_category_name(category), table[i].name);
    }
}

/* A name and a number out of nowhere. */
static void test_unknown(void **state SH_UNUSED)
{
    static const char *const names[] = {"",   "ok", "tls", "tls.key-mismatc", "TLS.KEY-MISMATCH",
                                        "x.y"};
    for (size_t i = 0; i < SH_COUNT(names); i++)
        assert_int_equal(sh_cause_by_name(names[i]), SH_SESSION_PEER_FAILED);
    assert_string_equal(sh_cause_info(SH_CAUSE_COUNT)->name, "internal.bug");
    assert_string_equal(sh_cause_info((enum sh_cause)12345)->name, "internal.bug");
}

static void test_detail(void **state SH_UNUSED)
{
    char text[400];
    sh_detail_clear();
    assert_string_equal(sh_detail(), "");
    assert_int_equal(sh_fail(SH_TLS_FAILED, "%s: %d", "why", 7), SH_TLS_FAILED);
    assert_string_equal(sh_detail(), "why: 7");
    assert_int_equal(sh_fail(SH_TLS_FAILED, "outer: %s", sh_detail()), SH_TLS_FAILED);
    assert_string_equal(sh_detail(), "outer: why: 7");
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(sh_fail(SH_TLS_FAILED, "%s", text), SH_TLS_FAILED);
    assert_int_equal(strlen(sh_detail()), 255);
    sh_detail_clear();
    assert_string_equal(sh_detail(), "");
}

static void test_errno(void **state SH_UNUSED)
{
    static const struct {
        int error;
        enum sh_cause cause;
    } table[] = {
        {ENOSPC, SH_STORE_NO_SPACE}, {EDQUOT, SH_STORE_NO_SPACE}, {EROFS, SH_STORE_READ_ONLY},
        {EACCES, SH_ENV_PERMISSION}, {EPERM, SH_ENV_PERMISSION},  {EEXIST, SH_STORE_TARGET_EXISTS},
        {ENOMEM, SH_ENV_NO_MEMORY},  {EIO, SH_STORE_IO_ERROR},    {ENOTDIR, SH_STORE_IO_ERROR},
        {0, SH_STORE_IO_ERROR},
    };
    for (size_t i = 0; i < SH_COUNT(table); i++) {
        sh_detail_clear();
        assert_cause(sh_cause_of_errno(table[i].error, "/a/path"), table[i].cause);
        assert_int_equal(strncmp(sh_detail(), "/a/path: ", 9), 0);
        assert_true(strlen(sh_detail()) > 9);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),   cmocka_unit_test(test_categories),
        cmocka_unit_test(test_unknown), cmocka_unit_test(test_detail),
        cmocka_unit_test(test_errno),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
