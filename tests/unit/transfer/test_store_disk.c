/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A store on a disk that is full, read only, or not ours. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "unit/transfer/store_folder.h"

/* The kernel would send SIGXFSZ, which kills. */
static void test_file_size_limit(void **state SH_UNUSED)
{
    struct rlimit old, small = {.rlim_cur = MIB};
    struct sh_store *store = open_store();
    struct sh_store_item *item = NULL;
    getrlimit(RLIMIT_FSIZE, &old);
    small.rlim_max = old.rlim_max;
    setrlimit(RLIMIT_FSIZE, &small);
    enum sh_cause over = sh_store_item_open(store, id, "item", MIB + 1, false, &item);
    enum sh_cause at = sh_store_item_open(store, id, "item", MIB, false, &item);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_cause(over, SH_STORE_NO_SPACE);
    assert_ok(at);
    sh_store_item_close(item);
    sh_store_close(store);
    assert_int_equal(count_entries(folder), 0);
}

/* In a mount namespace of its own; skips, and says so, where that is not allowed. */
static bool own_mounts(void)
{
    /* EINVAL: in a chroot the root is no mount point, and what is mounted below it is taken away again all the same. */
    if (unshare(CLONE_NEWNS) == 0 &&
        (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 || errno == EINVAL))
        return true;
    print_message("not tested: mounting needs root here\n");
    return false;
}

static void check_full(void)
{
    struct sh_store *store = NULL;
    struct sh_store_item *one = NULL, *two = NULL;
    static const uint8_t other_id[SH_ITEM_ID_SIZE] = {1};
    assert_int_equal(mount("test", folder, "tmpfs", 0, "size=4m"), 0);
    store = open_store();
    assert_cause(sh_store_item_open(store, id, "item", 9 * MIB, false, &one), SH_STORE_NO_SPACE);
    assert_non_null(strstr(sh_detail(), "9437184"));
    one = open_item(store, 3 * MIB / 2); /* each fits, both do not */
    assert_cause(sh_store_item_open(store, other_id, "two", 3 * MIB, false, &two),
                 SH_STORE_NO_SPACE);
    uint8_t *bytes = content(1, 3 * MIB / 2);
    assert_ok(sh_store_item_open(store, other_id, "two", MIB, false, &two));
    sh_store_item_rest(one); /* the promise holds while it sleeps */
    assert_ok(sh_store_item_wake(one));
    fill(one, bytes, 3 * MIB / 2, UINT32_MAX);
    sh_store_item_rest(two);
    assert_ok(sh_store_item_wake(two));
    finish(one, bytes, 3 * MIB / 2);
    sh_store_item_close(one);
    sh_store_item_close(two);
    sh_store_close(store);
    assert_int_equal(count_entries(folder), 1);
    free(bytes);
    assert_int_equal(umount2(folder, MNT_DETACH), 0);
}

static void test_no_space(void **state SH_UNUSED)
{
    if (!own_mounts())
        skip();
    check_full();
}

/* From now on this process is on a file system that cannot reserve. */
static bool without_fallocate(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fallocate, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EOPNOTSUPP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = SH_COUNT(code), .filter = code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void test_no_space_unreserved(void **state SH_UNUSED)
{
    if (!own_mounts())
        skip();
    pid_t child = fork();
    if (child == 0) {
        if (!without_fallocate())
            _exit(2);
        check_full(); /* a failed assertion ends the child with another status */
        _exit(77);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 77);
}

static void test_read_only(void **state SH_UNUSED)
{
    struct sh_store *store = NULL;
    struct sh_store_item *item = NULL;
    if (!own_mounts())
        skip();
    assert_int_equal(mount("test", folder, "tmpfs", 0, "size=1m"), 0);
    store = open_store();
    assert_int_equal(mount("test", folder, "tmpfs", MS_REMOUNT | MS_RDONLY, "size=1m"), 0);
    assert_cause(sh_store_item_open(store, id, "item", 10, false, &item), SH_STORE_READ_ONLY);
    sh_store_close(store);
    store = NULL;
    assert_cause(sh_store_open(folder, &store), SH_STORE_READ_ONLY);
    assert_null(store);
    assert_int_equal(umount2(folder, MNT_DETACH), 0);
}

/* Not root, who may everything. */
static void test_permission(void **state SH_UNUSED)
{
    if (geteuid() != 0) {
        print_message("not tested: needs root to be somebody else\n");
        skip();
    }
    assert_int_equal(chmod(folder, 0755), 0);
    pid_t child = fork();
    if (child == 0) {
        struct sh_store *store = NULL;
        if (seteuid(65534) < 0)
            _exit(2);
        _exit(sh_store_open(folder, &store) == SH_ENV_PERMISSION ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_file_size_limit), TEST(test_no_space),   TEST(test_no_space_unreserved),
        TEST(test_read_only),       TEST(test_permission),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
