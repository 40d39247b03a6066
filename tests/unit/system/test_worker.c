/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A worker: order, who runs what, when it begins and when it tells, what becomes of jobs when it goes. */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "system/worker.h"
#include "unit/patient.h"

#define JOBS 50

struct noted {
    struct sh_job job;
    unsigned number;
    pthread_t ran_by;
    bool ran, ended, lost;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool held;
static unsigned begun, last_ended;
static struct noted jobs[JOBS];

static void run(struct sh_job *job)
{
    struct noted *noted = (struct noted *)job;
    pthread_mutex_lock(&lock);
    begun++;
    pthread_cond_broadcast(&changed);
    while (held)
        pthread_cond_wait(&changed, &lock);
    noted->ran = true;
    noted->ran_by = pthread_self();
    pthread_mutex_unlock(&lock);
}

static void end(struct sh_job *job, bool lost)
{
    struct noted *noted = (struct noted *)job;
    pthread_mutex_lock(&lock);
    noted->ended = true;
    noted->lost = lost;
    if (!lost)
        assert_int_equal(noted->number, last_ended + 1);
    last_ended = noted->number;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void hold(bool on)
{
    pthread_mutex_lock(&lock);
    held = on;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void await(const unsigned *counter, unsigned value)
{
    pthread_mutex_lock(&lock);
    while (*counter < value)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

static int set_up(void **state)
{
    struct sh_worker *worker = NULL;
    held = false;
    begun = last_ended = 0;
    for (unsigned i = 0; i < JOBS; i++)
        jobs[i] = (struct noted){.job = {.run = run, .end = end}, .number = i + 1};
    assert_int_equal(sh_worker_new(&worker), SH_OK);
    *state = worker;
    return 0;
}

static int tear_down(void **state)
{
    sh_worker_free(*state);
    return 0;
}

static bool is_readable(const struct sh_worker *worker, int ms)
{
    struct pollfd fd = {.fd = sh_worker_fd(worker), .events = POLLIN};
    return poll(&fd, 1, ms) == 1;
}

static void test_in_order(void **state)
{
    struct sh_worker *worker = *state;
    assert_false(is_readable(worker, 0));
    for (unsigned i = 0; i < JOBS; i++)
        sh_worker_give(worker, &jobs[i].job, false);
    assert_true(is_readable(worker, 60000));
    sh_worker_await(worker, 60000);
    sh_worker_take(worker);
    assert_int_equal(last_ended, JOBS);
    assert_false(is_readable(worker, 0));
    for (unsigned i = 0; i < JOBS; i++) {
        assert_true(jobs[i].ran && jobs[i].ended && !jobs[i].lost);
        assert_false(pthread_equal(jobs[i].ran_by, pthread_self()));
    }
}

/* Few jobs that more are to follow wait for them, or for whoever is in a hurry. */
static void test_waits_for_more(void **state)
{
    struct sh_worker *worker = *state;
    sh_worker_give(worker, &jobs[0].job, false);
    sh_worker_await(worker, 60000);
    sh_worker_give(worker, &jobs[1].job, true);
    assert_false(is_readable(worker, 0) && begun > 1);
    poll(NULL, 0, 50); /* it would have begun */
    assert_int_equal(begun, 1);
    sh_worker_hurry(worker);
    await(&begun, 2);
    sh_worker_await(worker, 60000);
    for (unsigned i = 2; i < 20; i++)
        sh_worker_give(worker, &jobs[i].job, true);
    await(&begun, 10); /* without being asked */
    sh_worker_await(worker, 60000);
    sh_worker_take(worker);
    assert_int_equal(last_ended, 20);
}

/* It is told when there is nothing more to do, whoever is busy looks by himself. */
static void test_tells(void **state)
{
    struct sh_worker *worker = *state;
    hold(true);
    for (unsigned i = 0; i < 3; i++)
        sh_worker_give(worker, &jobs[i].job, false);
    await(&begun, 1);
    sh_worker_await(worker, 10); /* in vain */
    sh_worker_take(worker);
    assert_int_equal(last_ended, 0);
    hold(false);
    assert_true(is_readable(worker, 60000));
    sh_worker_take(worker);
    assert_int_equal(last_ended, 3);
}

static void run_for_a_while(struct sh_job *job)
{
    struct noted *noted = (struct noted *)job;
    pthread_mutex_lock(&lock);
    begun++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    poll(NULL, 0, 100);
    noted->ran = true;
}

/* What only computes has ended when the worker is gone, for the process may end then. */
static void test_goes_while_computing(void **state)
{
    jobs[0].job.run = run_for_a_while;
    sh_worker_give(*state, &jobs[0].job, false);
    await(&begun, 1);
    patient = true;
    sh_worker_free(*state);
    patient = false;
    *state = NULL;
    assert_true(jobs[0].ran && jobs[0].ended);
}

/* One that hangs is not waited for, and frees itself; those behind it are lost. */
static void test_goes_while_busy(void **state)
{
    hold(true);
    for (unsigned i = 0; i < 3; i++)
        sh_worker_give(*state, &jobs[i].job, false);
    await(&begun, 1);
    sh_worker_free(*state);
    *state = NULL;
    hold(false);
    await(&last_ended, 3);
    assert_true(jobs[0].ran && jobs[0].lost);
    assert_true(!jobs[1].ran && jobs[1].lost);
    assert_true(!jobs[2].ran && jobs[2].lost);
}

static void test_without(void **state SH_UNUSED)
{
    sh_worker_give(NULL, &jobs[0].job, true);
    assert_true(jobs[0].ended && !jobs[0].lost);
    assert_true(pthread_equal(jobs[0].ran_by, pthread_self()));
    sh_worker_hurry(NULL);
    sh_worker_take(NULL);
    sh_worker_await(NULL, 1000);
    sh_worker_free(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_in_order),        TEST(test_waits_for_more),       TEST(test_tells),
        TEST(test_goes_while_busy), TEST(test_goes_while_computing), TEST(test_without),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
