/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Marks of what is to be undone: what is written is read, and nothing else is taken for one. */
#include <sys/file.h>

#include "transfer/wifi_mark.h"
#include "unit/transfer/util.h"

#define TEXT(literal) SH_BYTES(literal, sizeof(literal) - 1)

static void test_round(void **state SH_UNUSED)
{
    struct sh_wifi_mark_text text = {.kind = SH_WPA_SECOND,
                                     .boot_id = "b05235a7-2598-4516-9323-5d3cf0e4aaaa",
                                     .iface = "hop0",
                                     .ifindex = 987654321,
                                     .address = {2, 0, 0xab, 0, 0, 1},
                                     .ssid_len = 32,
                                     .control = "/run/wpa_supplicant/p2p-dev-wlan0",
                                     .enabled_count = SH_WPA_NETWORKS,
                                     .addresses = {{.bytes = {0xfe, 0x80, [15] = 9}, .len = 16},
                                                   {.bytes = {169, 254, 1, 2}, .len = 4}},
                                     .address_count = 2};
    struct sh_wifi_mark_text again;
    char bytes[SH_WIFI_MARK_SIZE];
    memset(text.ssid, 0xff, sizeof(text.ssid));
    for (unsigned i = 0; i < SH_WPA_NETWORKS; i++)
        text.enabled[i] = 100000000 + i;
    size_t n = sh_wifi_mark_write_text(&text, bytes);
    assert_true(sh_wifi_mark_read_text(SH_BYTES(bytes, n), &again));
    assert_int_equal(again.kind, text.kind);
    assert_string_equal(again.boot_id, text.boot_id);
    assert_string_equal(again.iface, "hop0");
    assert_int_equal(again.ifindex, 987654321);
    assert_memory_equal(again.address, text.address, 6);
    assert_int_equal(again.ssid_len, 32);
    assert_memory_equal(again.ssid, text.ssid, 32);
    assert_string_equal(again.control, text.control);
    assert_int_equal(again.enabled_count, SH_WPA_NETWORKS);
    assert_memory_equal(again.enabled, text.enabled, sizeof(text.enabled));
    assert_int_equal(again.address_count, 2);
    assert_int_equal(again.addresses[0].len, 16);
    assert_memory_equal(again.addresses[0].bytes, text.addresses[0].bytes, 16);
    assert_int_equal(again.addresses[1].len, 4);
    assert_memory_equal(again.addresses[1].bytes, text.addresses[1].bytes, 4);
    /* Cut anywhere it is a mark of less, or none. */
    for (size_t cut = 0; cut < n; cut++)
        assert_true(sh_wifi_mark_read_text(SH_BYTES(bytes, cut), &again) || cut < n - 1);
}

static void test_no_marks(void **state SH_UNUSED)
{
    struct sh_wifi_mark_text text;
    assert_false(sh_wifi_mark_read_text(TEXT(""), &text));
    assert_false(sh_wifi_mark_read_text(TEXT("kind=own\nboot=x\nssid=\n"), &text));
    assert_false(sh_wifi_mark_read_text(TEXT("kind=own\nboot=x\nssid=4\n"), &text));
    assert_false(sh_wifi_mark_read_text(TEXT("kind=own\nboot=x\nssid=zz\n"), &text));
    assert_false(sh_wifi_mark_read_text(TEXT("kind=other\nboot=x\nssid=44\n"), &text));
    assert_false(sh_wifi_mark_read_text(TEXT("kind=own\nssid=44\n"), &text));
    /* A second station without its address could be anybody's. */
    assert_false(
        sh_wifi_mark_read_text(TEXT("kind=second-station\nboot=x\nssid=44\niface=hop0\n"), &text));
    assert_true(sh_wifi_mark_read_text(TEXT("kind=own\nboot=x\nssid=44\niface=../x\n"), &text));
    assert_string_equal(text.iface, "");
    /* A number without the name that it had is none, nor is what is no number. */
    assert_true(
        sh_wifi_mark_read_text(TEXT("kind=p2p-client\nboot=x\nssid=44\nifindex=7\n"), &text));
    assert_int_equal(text.ifindex, 0);
    assert_true(sh_wifi_mark_read_text(
        TEXT("kind=p2p-client\nboot=x\nssid=44\niface=p2p-wlan0-0\nifindex=7x\n"), &text));
    assert_int_equal(text.ifindex, 0);
    assert_string_equal(text.iface, "p2p-wlan0-0");
    /* What is no address is passed over. */
    assert_true(sh_wifi_mark_read_text(
        TEXT("kind=station\nboot=x\nssid=44\nlocal0=fe80\nlocal1=a9fe0102\n"), &text));
    assert_int_equal(text.address_count, 1);
    assert_int_equal(text.addresses[0].len, 4);
}

static void test_file(void **state SH_UNUSED)
{
    char folder[] = "/tmp/simhop-mark.XXXXXX", run_dir[64], path[PATH_SIZE] = "";
    struct sh_wifi_mark *marks[2] = {NULL, NULL};
    struct sh_wifi_mark_text text = {.kind = SH_WPA_OWN, .ssid = "DIRECT-ab", .ssid_len = 9};
    struct stat st;
    assert_non_null(mkdtemp(folder));
    snprintf(run_dir, sizeof(run_dir), "%s/run", folder);
    assert_ok(sh_wifi_mark_new(run_dir, &marks[0]));
    assert_ok(sh_wifi_mark_new(run_dir, &marks[1])); /* two of one process do not meet */
    assert_ok(sh_wifi_mark_set(marks[0], &text));
    assert_true(strlen(text.boot_id) > 0);
    assert_int_equal(stat(run_dir, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    sh_wifi_mark_free(marks[1]);
    DIR *dir = opendir(run_dir);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] != '.')
            snprintf(path, sizeof(path), "%s/%.100s", run_dir, entry->d_name);
    }
    closedir(dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    off_t size = st.st_size;
    strcpy(text.control, "/run/wpa_supplicant");
    assert_ok(sh_wifi_mark_set(marks[0], &text));
    assert_int_equal(stat(path, &st), 0);
    assert_true(st.st_size > size);
    text.control[0] = '\0'; /* less than before: nothing of that is left */
    assert_ok(sh_wifi_mark_set(marks[0], &text));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, size);
    int fd = open(path, O_RDWR);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), -1); /* somebody works on it */
    sh_wifi_mark_leave(marks[0]);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    close(fd);
    assert_int_equal(unlink(path), 0);   /* it stayed, for a sweep */
    assert_int_equal(rmdir(run_dir), 0); /* nothing is left */
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round), cmocka_unit_test(test_no_marks), cmocka_unit_test(test_file)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
