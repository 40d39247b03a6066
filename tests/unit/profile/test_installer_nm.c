/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "profile/installer.h"
#include "profile/nm_keyfile.h"
#include "profile/text.h"

#define T(text) ((char *)(uintptr_t)(text))
#define ICCID   "8949449999999990007"
#define FIRST   "simhop-" ICCID "-1.nmconnection"
#define SECOND  "simhop-" ICCID "-2.nmconnection"
#define THIRD   "simhop-" ICCID "-3.nmconnection"

struct sample {
    Simhop__Bundle bundle;
    Simhop__Device anchor;
    Simhop__ProfileInstance line;
    Simhop__ProfileInstance *lines[1];
    Simhop__Acquisition acquisition;
    Simhop__Apn apn[3];
    Simhop__Apn *apns[3];
    Simhop__ApnPurpose purposes[3][2];
    uint8_t id[16];
    char folder[64];
    struct sh_install_config config;
    char done[1024];
};

static struct sample s;

static int before_each(void **state SH_UNUSED)
{
    memset(&s, 0, sizeof(s));
    simhop__bundle__init(&s.bundle);
    simhop__device__init(&s.anchor);
    simhop__profile_instance__init(&s.line);
    simhop__acquisition__init(&s.acquisition);
    for (size_t i = 0; i < 3; i++) {
        simhop__apn__init(&s.apn[i]);
        s.apns[i] = &s.apn[i];
        s.apn[i].purposes = s.purposes[i];
    }
    memset(s.id, 0xa5, sizeof(s.id));
    s.anchor.id = (ProtobufCBinaryData){.data = s.id, .len = sizeof(s.id)};
    s.bundle.anchor = &s.anchor;
    s.lines[0] = &s.line;
    s.bundle.lines = s.lines;
    s.bundle.n_lines = 1;
    s.line.iccid = T(ICCID);
    s.line.nickname = T("Work");
    s.line.acquisition = &s.acquisition;
    s.line.apns = s.apns;
    s.line.n_apns = 1;
    s.apn[0].name = T("internet");
    s.apn[1].name = T("second.example.com");
    s.apn[2].name = T("third.example.com");
    memcpy(s.folder, "/tmp/simhop-test-XXXXXX", 24);
    s.config.nm_dir = mkdtemp(s.folder);
    return s.config.nm_dir == NULL;
}

static int count_files(bool remove)
{
    int count = 0;
    DIR *dir = opendir(s.folder);
    for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir)) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        count++;
        if (remove)
            unlinkat(dirfd(dir), e->d_name, 0);
    }
    if (dir)
        closedir(dir);
    return count;
}

static int after_each(void **state SH_UNUSED)
{
    count_files(true);
    return rmdir(s.folder);
}

static const char *path_of(const char *name)
{
    static char path[512];
    snprintf(path, sizeof(path), "%s/%s", s.folder, name);
    return path;
}

static void write_text(const char *name, const char *text)
{
    FILE *f = fopen(path_of(name), "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

/* "" if there is no such file. */
static const char *read_text(const char *name)
{
    static char text[8192];
    memset(text, 0, sizeof(text));
    FILE *f = fopen(path_of(name), "r");
    if (f) {
        assert_true(fread(text, 1, sizeof(text) - 1, f) > 0);
        fclose(f);
    }
    return text;
}

static void note_done(const char *installer, const char *what, void *user SH_UNUSED)
{
    size_t n = strlen(s.done);
    snprintf(s.done + n, sizeof(s.done) - n, "%s %s\n", installer, strrchr(what, '/') + 1);
}

static enum sh_cause install(void)
{
    s.done[0] = '\0';
    return sh_installer_nm.bundle(&s.config, &s.bundle, "/unused", note_done, NULL);
}

/* Not inlined: gcc 12 then takes what it returns for the address of its own variable (-O2, -Wdangling-pointer). */
__attribute__((noinline)) static char *keyfile(const Simhop__Apn *apn)
{
    char *text = NULL;
    assert_int_equal(sh_nm_keyfile(&s.bundle, &s.line, apn, &text), SH_OK);
    return text;
}

static void the_whole_text(void **state SH_UNUSED)
{
    s.apn[0].user = T("guest");
    s.apn[0].password = T("secret");
    s.apn[0].auth = SIMHOP__APN_AUTH__APN_AUTH_PAP;
    s.apn[0].ip_type = SIMHOP__IP_TYPE__IP_TYPE_IPV4;
    s.apn[0].home_only = 1;
    s.apn[0].mtu = 1430;
    s.line.mcc = T("001");
    s.line.mnc = T("01");
    char *text = keyfile(&s.apn[0]);
    assert_string_equal(text, "[connection]\n"
                              "id=simhop Work (internet)\n"
                              "uuid=fa736223-0392-5cee-9dc5-c2f2c9c86f11\n"
                              "type=gsm\n"
                              "\n"
                              "[gsm]\n"
                              "apn=internet\n"
                              "home-only=true\n"
                              "mtu=1430\n"
                              "username=guest\n"
                              "password=secret\n"
                              "sim-id=8949449999999990007\n"
                              "\n"
                              "[ppp]\n"
                              "refuse-chap=true\n"
                              "refuse-eap=true\n"
                              "refuse-mschap=true\n"
                              "refuse-mschapv2=true\n"
                              "\n"
                              "[ipv4]\n"
                              "method=auto\n"
                              "\n"
                              "[ipv6]\n"
                              "method=disabled\n"
                              "\n"
                              "[user]\n"
                              "org.simhop.anchor=a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5\n");
    sh_free_secret(text);
}

static void the_least_text(void **state SH_UNUSED)
{
    s.line.nickname = T("");
    char *text = keyfile(&s.apn[0]);
    assert_string_equal(text, "[connection]\n"
                              "id=simhop 8949449999999990007 (internet)\n"
                              "uuid=4ea97bf8-9fd6-5339-a69e-f5c65c6cbca2\n"
                              "type=gsm\n"
                              "\n"
                              "[gsm]\n"
                              "apn=internet\n"
                              "sim-id=8949449999999990007\n"
                              "\n"
                              "[ipv4]\n"
                              "method=auto\n"
                              "\n"
                              "[ipv6]\n"
                              "method=auto\n"
                              "\n"
                              "[user]\n"
                              "org.simhop.anchor=a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5\n");
    sh_free_secret(text);
}

static void kinds_of_authentication(void **state SH_UNUSED)
{
    static const struct {
        Simhop__ApnAuth auth;
        bool pap, chap, others;
    } cases[] = {
        {SIMHOP__APN_AUTH__APN_AUTH_UNSPECIFIED, true, true, true},
        {SIMHOP__APN_AUTH__APN_AUTH_NONE, false, false, false},
        {SIMHOP__APN_AUTH__APN_AUTH_PAP, true, false, false},
        {SIMHOP__APN_AUTH__APN_AUTH_CHAP, false, true, false},
        {SIMHOP__APN_AUTH__APN_AUTH_PAP_OR_CHAP, true, true, false},
    };
    for (size_t i = 0; i < SH_COUNT(cases); i++) {
        s.apn[0].auth = cases[i].auth;
        char *text = keyfile(&s.apn[0]);
        assert_int_equal(!strstr(text, "refuse-pap=true"), cases[i].pap);
        assert_int_equal(!strstr(text, "refuse-chap=true"), cases[i].chap);
        assert_int_equal(!strstr(text, "refuse-eap=true"), cases[i].others);
        assert_int_equal(!strstr(text, "refuse-mschapv2=true"), cases[i].others);
        free(text);
    }
    char *text = NULL;
    s.apn[0].auth = (Simhop__ApnAuth)99;
    assert_int_equal(sh_nm_keyfile(&s.bundle, &s.line, &s.apn[0], &text), SH_INSTALL_REFUSED);
    s.apn[0].auth = SIMHOP__APN_AUTH__APN_AUTH_UNSPECIFIED;
    s.apn[0].ip_type = (Simhop__IpType)99;
    assert_int_equal(sh_nm_keyfile(&s.bundle, &s.line, &s.apn[0], &text), SH_INSTALL_REFUSED);
    assert_null(text);
}

static void values_are_escaped(void **state SH_UNUSED)
{
    s.line.nickname = T(" a;b\\c");
    s.apn[0].user = T(" lead and trail ");
    s.apn[0].password = T("#p;=[x]\\\n\r\ty");
    char *text = keyfile(&s.apn[0]);
    assert_non_null(strstr(text, "\nid=simhop  a;b\\\\c (internet)\n"));
    assert_non_null(strstr(text, "\nusername=\\slead and trail\\s\n"));
    assert_non_null(strstr(text, "\npassword=#p;=[x]\\\\\\n\\r\\ty\n"));
    free(text);
}

static void a_user_without_password_is_not_asked(void **state SH_UNUSED)
{
    s.apn[0].user = T("guest");
    char *text = keyfile(&s.apn[0]);
    assert_non_null(strstr(text, "\npassword-flags=4\n"));
    assert_null(strstr(text, "password="));
    free(text);
}

static void never_a_network_id(void **state SH_UNUSED)
{
    s.line.mcc = T("262");
    s.line.mnc = T("01");
    s.apn[0].home_only = 1;
    char *text = keyfile(&s.apn[0]);
    assert_null(strstr(text, "network-id"));
    assert_non_null(strstr(text, "sim-id=" ICCID));
    free(text);
}

static const char *uuid_in(const char *text)
{
    static char uuid[37];
    const char *at = strstr(text, "\nuuid=");
    assert_non_null(at);
    memcpy(uuid, at + 6, 36);
    return uuid;
}

static void the_uuid_follows_anchor_card_and_apn(void **state SH_UNUSED)
{
    char first[37], *text = keyfile(&s.apn[0]);
    memcpy(first, uuid_in(text), sizeof(first));
    assert_int_equal(first[14], '5');
    assert_non_null(strchr("89ab", first[19]));
    free(text);
    s.line.nickname = T("Another name");
    s.apn[0].password = T("new");
    s.apn[0].mtu = 1400;
    text = keyfile(&s.apn[0]);
    assert_string_equal(uuid_in(text), first);
    free(text);
    text = keyfile(&s.apn[1]);
    assert_string_not_equal(uuid_in(text), first);
    free(text);
    s.line.iccid = T("8949449999999990031");
    text = keyfile(&s.apn[0]);
    assert_string_not_equal(uuid_in(text), first);
    free(text);
    s.line.iccid = T(ICCID);
    s.id[0] = 1;
    text = keyfile(&s.apn[0]);
    assert_string_not_equal(uuid_in(text), first);
    free(text);
}

static void files_are_private_and_whole(void **state SH_UNUSED)
{
    struct stat st;
    mode_t before = umask(0);
    assert_true(sh_installer_nm.applies(&s.config));
    assert_int_equal(install(), SH_OK);
    umask(before);
    assert_string_equal(s.done, "nm " FIRST "\n");
    assert_int_equal(stat(path_of(FIRST), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    char *text = keyfile(&s.apn[0]);
    assert_string_equal(read_text(FIRST), text);
    free(text);
    assert_int_equal(count_files(false), 1);
}

static void only_the_internet_becomes_a_connection(void **state SH_UNUSED)
{
    s.line.n_apns = 3;
    s.purposes[0][0] = SIMHOP__APN_PURPOSE__APN_PURPOSE_MMS;
    s.purposes[1][0] = SIMHOP__APN_PURPOSE__APN_PURPOSE_IMS;
    s.purposes[1][1] = SIMHOP__APN_PURPOSE__APN_PURPOSE_INTERNET;
    s.purposes[2][0] = (Simhop__ApnPurpose)99;
    s.apn[0].n_purposes = 1;
    s.apn[1].n_purposes = 2;
    s.apn[2].n_purposes = 1;
    assert_int_equal(install(), SH_OK);
    assert_int_equal(count_files(false), 1);
    assert_non_null(strstr(read_text(FIRST), "apn=second.example.com\n"));
    assert_null(strstr(read_text(FIRST), "autoconnect"));
}

static void one_of_several_connects_by_itself(void **state SH_UNUSED)
{
    s.line.n_apns = 3;
    assert_int_equal(install(), SH_OK);
    assert_string_equal(s.done, "nm " FIRST "\nnm " SECOND "\nnm " THIRD "\n");
    assert_null(strstr(read_text(FIRST), "autoconnect"));
    assert_non_null(strstr(read_text(SECOND), "\nautoconnect=false\n"));
    assert_non_null(strstr(read_text(THIRD), "\nautoconnect=false\n"));
}

static void some_lines_are_not_for_this_device(void **state SH_UNUSED)
{
    s.line.relation = SIMHOP__RELATION__RELATION_INFORMATION;
    assert_int_equal(install(), SH_OK);
    s.line.relation = SIMHOP__RELATION__RELATION_UNSPECIFIED;
    s.acquisition.method = SIMHOP__ACQUISITION_METHOD__ACQUISITION_NOT_POSSIBLE;
    assert_int_equal(install(), SH_OK);
    s.acquisition.method = SIMHOP__ACQUISITION_METHOD__ACQUISITION_UNSPECIFIED;
    s.line.iccid = T("");
    assert_int_equal(install(), SH_OK);
    assert_int_equal(count_files(false), 0);
    /* And never a name that leaves the folder. */
    s.line.iccid = T("../../../tmp/x");
    assert_int_equal(install(), SH_INSTALL_REFUSED);
    assert_int_equal(count_files(false), 0);
}

static void a_second_run_replaces_and_cleans_up(void **state SH_UNUSED)
{
    s.line.n_apns = 3;
    assert_int_equal(install(), SH_OK);
    s.line.n_apns = 1;
    s.apn[0].mtu = 1300;
    assert_int_equal(install(), SH_OK);
    assert_int_equal(count_files(false), 1);
    assert_non_null(strstr(read_text(FIRST), "mtu=1300"));
    s.purposes[0][0] = SIMHOP__APN_PURPOSE__APN_PURPOSE_MMS;
    s.apn[0].n_purposes = 1;
    assert_int_equal(install(), SH_OK);
    assert_int_equal(count_files(false), 0);
}

static void what_others_wrote_stays(void **state SH_UNUSED)
{
    static const char theirs[] = "[connection]\nid=mine\n[gsm]\nsim-id=" ICCID "\n";
    write_text(FIRST, theirs);
    assert_int_equal(symlink("/etc/passwd", path_of(SECOND)), 0);
    assert_int_equal(install(), SH_OK);
    assert_string_equal(s.done, "nm " THIRD "\n");
    assert_string_equal(read_text(FIRST), theirs);
    /* Another anchor's file is not ours either, even for the same card. */
    s.id[0] = 1;
    assert_int_equal(install(), SH_OK);
    assert_string_equal(s.done, "nm simhop-" ICCID "-4.nmconnection\n");
    assert_non_null(strstr(read_text(THIRD), "anchor=a5a5a5"));
    /* And nothing of theirs is cleaned up. */
    s.line.n_apns = 0;
    assert_int_equal(install(), SH_OK);
    assert_int_equal(count_files(false), 3);
}

static void a_mark_inside_a_value_is_no_mark(void **state SH_UNUSED)
{
    static const char theirs[] =
        "[gsm]\nsim-id=" ICCID "\npassword=x org.simhop.anchor=a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5\n";
    write_text(FIRST, theirs);
    assert_int_equal(install(), SH_OK);
    assert_string_equal(read_text(FIRST), theirs);
    assert_string_equal(s.done, "nm " SECOND "\n");
}

static void no_folder_no_installation(void **state SH_UNUSED)
{
    s.config.nm_dir = "/nonexistent/folder";
    assert_false(sh_installer_nm.applies(&s.config));
    assert_int_equal(install(), SH_INSTALL_WRITE);
    assert_non_null(strstr(sh_detail(), "/nonexistent/folder: No such file"));
}

/* Runs install() with a limit or without rights, and gives its cause. */
static enum sh_cause install_as_child(bool as_nobody, bool no_space)
{
    int status = 0;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit none = {0, 0};
        signal(SIGXFSZ, SIG_IGN);
        if (as_nobody && (setgid(65534) != 0 || setuid(65534) != 0))
            _exit(255);
        if (no_space && setrlimit(RLIMIT_FSIZE, &none) != 0)
            _exit(255);
        _exit((int)install());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return (enum sh_cause)WEXITSTATUS(status);
}

static void a_folder_of_others_is_a_matter_of_permission(void **state SH_UNUSED)
{
    if (geteuid() != 0)
        assert_int_equal(chmod(s.folder, 0500), 0);
    else
        assert_int_equal(chmod(s.folder, 0755), 0);
    assert_int_equal(install_as_child(geteuid() == 0, false), SH_INSTALL_PERMISSION);
    assert_int_equal(chmod(s.folder, 0700), 0);
    assert_int_equal(count_files(false), 0);
}

static void a_full_disk_leaves_the_old_file(void **state SH_UNUSED)
{
    assert_int_equal(install(), SH_OK);
    char *text = keyfile(&s.apn[0]);
    s.apn[0].mtu = 1300;
    assert_int_equal(install_as_child(false, true), SH_INSTALL_WRITE);
    assert_string_equal(read_text(FIRST), text);
    assert_int_equal(count_files(false), 1);
    free(text);
}

static void a_read_only_file_system(void **state SH_UNUSED)
{
    if (mount("tmpfs", s.folder, "tmpfs", MS_RDONLY, "size=64k") != 0) {
        print_message("not checked: a read-only file system cannot be mounted here (%s)\n",
                      strerror(errno));
        skip();
    }
    enum sh_cause cause = install();
    assert_int_equal(umount(s.folder), 0);
    assert_int_equal(cause, SH_INSTALL_WRITE);
    assert_non_null(strstr(sh_detail(), "Read-only file system"));
}

/* The oracle: NetworkManager's own parser reads what we wrote, and loses nothing of it. */
static void network_manager_takes_it(void **state SH_UNUSED)
{
    s.line.nickname = T(" a;b\\c \xc3\xbc #");
    s.line.n_apns = 3;
    s.apn[0].user = T(" lead and trail ");
    s.apn[0].password = T(" #p;=[x]\\\"y' ");
    s.apn[0].auth = SIMHOP__APN_AUTH__APN_AUTH_PAP;
    s.apn[0].ip_type = SIMHOP__IP_TYPE__IP_TYPE_IPV4;
    s.apn[0].home_only = 1;
    s.apn[0].mtu = 1430;
    s.apn[1].user = T("guest");
    s.apn[1].auth = SIMHOP__APN_AUTH__APN_AUTH_NONE;
    s.apn[1].ip_type = SIMHOP__IP_TYPE__IP_TYPE_IPV6;
    s.apn[2].ip_type = SIMHOP__IP_TYPE__IP_TYPE_IPV4V6;
    assert_int_equal(install(), SH_OK);
    char command[1024];
    snprintf(command, sizeof(command), "sh %s/../process/nm_check.sh %s/*.nmconnection", TEST_DATA,
             s.folder);
    int status = system(command);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) {
        print_message("not checked: nmcli is not here\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, before_each, after_each)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_whole_text),
        TEST(the_least_text),
        TEST(kinds_of_authentication),
        TEST(values_are_escaped),
        TEST(a_user_without_password_is_not_asked),
        TEST(never_a_network_id),
        TEST(the_uuid_follows_anchor_card_and_apn),
        TEST(files_are_private_and_whole),
        TEST(only_the_internet_becomes_a_connection),
        TEST(one_of_several_connects_by_itself),
        TEST(some_lines_are_not_for_this_device),
        TEST(a_second_run_replaces_and_cleans_up),
        TEST(what_others_wrote_stays),
        TEST(a_mark_inside_a_value_is_no_mark),
        TEST(no_folder_no_installation),
        TEST(a_folder_of_others_is_a_matter_of_permission),
        TEST(a_full_disk_leaves_the_old_file),
        TEST(a_read_only_file_system),
        TEST(network_manager_takes_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
