/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Attempts and the lock. */
#include "registry_folder.h"

#include <pthread.h>
#include <sys/wait.h>

#define BOOT   "boot-1"
#define REBOOT "boot-2"
#define MINUTE (60 * 1000)

static struct sh_gate gate_at(struct sh_registry *registry, const char *boot, sh_ms now)
{
    struct sh_gate gate = {0};
    assert_int_equal(sh_registry_gate(registry, boot, now, &gate), SH_OK);
    assert_true(gate.open == (!gate.until_person && gate.wait_ms == 0));
    return gate;
}

static void charge_ok(struct sh_registry *registry, sh_ms now)
{
    assert_int_equal(sh_registry_charge(registry, BOOT, now), SH_OK);
}

static void three_in_a_row(void **state SH_UNUSED)
{
    struct sh_registry *registry = open_it();
    struct sh_gate gate = gate_at(registry, BOOT, 1000);
    assert_true(gate.open);
    assert_int_equal(gate.failures, 0);
    charge_ok(registry, 1000);
    charge_ok(registry, 1000);
    assert_true(gate_at(registry, BOOT, 1000).open);
    charge_ok(registry, 1000);
    gate = gate_at(registry, BOOT, 1000);
    assert_int_equal(gate.wait_ms, MINUTE);
    assert_int_equal(gate.failures, 3);
    assert_false(gate.until_person);
    assert_int_equal(sh_registry_charge(registry, BOOT, 1001), SH_CONFIRM_LOCKED_OUT);
    assert_non_null(strstr(sh_detail(), "60 s"));
    /* A refused one costs nothing and does not prolong the lock. */
    gate = gate_at(registry, BOOT, 1000 + MINUTE - 1);
    assert_int_equal(gate.wait_ms, 1);
    assert_int_equal(gate.failures, 3);
    assert_true(gate_at(registry, BOOT, 1000 + MINUTE).open);
    sh_registry_close(registry);
}

static void doubling_then_person(void **state SH_UNUSED)
{
    struct sh_registry *registry = open_it();
    sh_ms now = 5000;
    uint64_t lock = MINUTE;
    for (unsigned failures = 1; failures < 10; failures++) {
        charge_ok(registry, now);
        struct sh_gate gate = gate_at(registry, BOOT, now);
        assert_int_equal(gate.failures, failures);
        assert_int_equal(gate.wait_ms, failures < 3 ? 0 : lock);
        now += gate.wait_ms;
        lock *= failures < 3 ? 1 : 2;
    }
    charge_ok(registry, now);
    struct sh_gate gate = gate_at(registry, BOOT, now + UINT64_C(1000) * 86400 * 1000);
    assert_true(gate.until_person);
    assert_int_equal(sh_registry_charge(registry, BOOT, now + UINT64_C(1000) * 86400 * 1000),
                     SH_CONFIRM_LOCKED_OUT);
    assert_non_null(strstr(sh_detail(), "person"));
    assert_true(gate_at(registry, REBOOT, 1).until_person);
    assert_int_equal(sh_registry_unlock(registry), SH_OK);
    gate = gate_at(registry, BOOT, now);
    assert_true(gate.open);
    assert_int_equal(gate.failures, 0);
    charge_ok(registry, now);
    sh_registry_close(registry);
}

static void success_ends_the_row(void **state SH_UNUSED)
{
    struct sh_registry *registry = open_it();
    for (unsigned i = 0; i < 20; i++) {
        charge_ok(registry, i);
        charge_ok(registry, i);
        if (i % 2)
            charge_ok(registry, i); /* locked, but this very attempt may still succeed */
        assert_int_equal(sh_registry_confirmed(registry), SH_OK);
        struct sh_gate gate = gate_at(registry, BOOT, i);
        assert_true(gate.open);
        assert_int_equal(gate.failures, 0);
    }
    sh_registry_close(registry);
}

static void survives_reopening(void **state SH_UNUSED)
{
    for (unsigned i = 0; i < 3; i++) {
        struct sh_registry *registry = open_it();
        charge_ok(registry, 1000);
        sh_registry_close(registry);
    }
    struct sh_registry *registry = open_it();
    assert_int_equal(gate_at(registry, BOOT, 2000).wait_ms, MINUTE - 1000);
    assert_int_equal(sh_registry_charge(registry, BOOT, 2000), SH_CONFIRM_LOCKED_OUT);
    sh_registry_close(registry);
}

static void reboot_starts_anew(void **state SH_UNUSED)
{
    struct sh_registry *registry = open_it();
    for (unsigned i = 0; i < 4; i++)
        charge_ok(registry, i < 3 ? 500000 : 500000 + MINUTE);
    assert_int_equal(gate_at(registry, BOOT, 500000 + 2 * MINUTE).wait_ms, MINUTE);
    /* The clock starts at 0 again; whoever looks first starts the lock, a charge as well. */
    assert_int_equal(sh_registry_charge(registry, REBOOT, 7000), SH_CONFIRM_LOCKED_OUT);
    assert_int_equal(gate_at(registry, REBOOT, 7000).wait_ms, 2 * MINUTE);
    sh_registry_close(registry);
    registry = open_it();
    assert_int_equal(gate_at(registry, REBOOT, 8000).wait_ms, 2 * MINUTE - 1000);
    assert_true(gate_at(registry, REBOOT, 7000 + 2 * MINUTE).open);
    /* Also when the machine now runs for longer than it did before. */
    assert_int_equal(sh_registry_unlock(registry), SH_OK);
    for (unsigned i = 0; i < 3; i++)
        charge_ok(registry, 1000);
    assert_int_equal(gate_at(registry, REBOOT, 900000).wait_ms, MINUTE);
    assert_true(gate_at(registry, REBOOT, 900000 + MINUTE).open);
    /* That it ended was seen, so the next reboot does not bring it back. */
    struct sh_gate gate = gate_at(registry, "boot-3", 10);
    assert_true(gate.open);
    assert_int_equal(gate.failures, 3);
    /* A clock that runs backwards within one boot opens nothing. */
    assert_int_equal(sh_registry_charge(registry, "boot-3", 900000), SH_OK);
    assert_int_equal(gate_at(registry, "boot-3", 5).wait_ms, 2 * MINUTE);
    sh_registry_close(registry);
}

/* ---- many at once ---- */

static void *charge_thread(void *user)
{
    unsigned *taken = user;
    struct sh_registry *registry = NULL;
    if (sh_registry_open(folder, &registry) != SH_OK)
        return NULL;
    for (unsigned i = 0; i < 5; i++)
        *taken += sh_registry_charge(registry, BOOT, 1000) == SH_OK;
    sh_registry_close(registry);
    return NULL;
}

static void threads_charge_at_once(void **state SH_UNUSED)
{
    pthread_t thread[8];
    unsigned taken[8] = {0};
    unsigned sum = 0;
    for (size_t i = 0; i < SH_COUNT(thread); i++)
        assert_int_equal(pthread_create(&thread[i], NULL, charge_thread, &taken[i]), 0);
    for (size_t i = 0; i < SH_COUNT(thread); i++) {
        pthread_join(thread[i], NULL);
        sum += taken[i];
    }
    assert_int_equal(sum, 3);
    struct sh_registry *registry = open_it();
    assert_int_equal(gate_at(registry, BOOT, 1000).failures, 3);
    sh_registry_close(registry);
}

/* Processes that all make the database, too. */
static void processes_charge_at_once(void **state SH_UNUSED)
{
    pid_t pid[6];
    unsigned sum = 0;
    for (size_t i = 0; i < SH_COUNT(pid); i++) {
        pid[i] = fork();
        assert_true(pid[i] >= 0);
        if (pid[i] == 0) {
            unsigned taken = 99;
            struct sh_registry *registry = NULL;
            enum sh_cause cause = SH_ENV_REGISTRY;
            for (unsigned n = 0; n < 10 && cause == SH_ENV_REGISTRY;
                 n++) /* it may be busy for long */
                cause = sh_registry_open(folder, &registry);
            if (cause == SH_OK) {
                taken = 0;
                for (unsigned n = 0; n < 5; n++)
                    taken += sh_registry_charge(registry, BOOT, 1000) == SH_OK;
                sh_registry_close(registry);
            }
            _exit((int)taken);
        }
    }
    for (size_t i = 0; i < SH_COUNT(pid); i++) {
        int status = 0;
        assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
        assert_true(WIFEXITED(status));
        sum += (unsigned)WEXITSTATUS(status);
    }
    assert_int_equal(sum, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(three_in_a_row),           IN_FOLDER(doubling_then_person),
        IN_FOLDER(success_ends_the_row),     IN_FOLDER(survives_reopening),
        IN_FOLDER(reboot_starts_anew),       IN_FOLDER(threads_charge_at_once),
        IN_FOLDER(processes_charge_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
