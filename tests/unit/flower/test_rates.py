from gateway_service.flower.rates import KEPT, Rates


def test_a_rate_is_the_difference_per_second():
    rates = Rates()

    rates.see(100, at=10.0)
    rates.see(150, at=15.0)

    assert rates.all == [10.0]
    assert rates.now == 10.0


def test_one_look_makes_no_rate():
    rates = Rates()

    rates.see(100, at=10.0)

    assert (rates.all, rates.now) == ([], 0.0)


def test_two_looks_that_are_close_together_count_as_one():
    rates = Rates()

    for counted, at in ((100, 10.0), (101, 10.1), (150, 15.0)):
        rates.see(counted, at)

    assert rates.all == [10.0]


def test_a_counter_that_went_back_is_a_new_process_and_makes_no_rate():
    rates = Rates()

    for counted, at in ((100, 10.0), (4, 15.0), (14, 20.0)):
        rates.see(counted, at)

    assert rates.all == [2.0]


def test_old_rates_are_forgotten():
    rates = Rates()

    for second in range(2 * KEPT):
        rates.see(second * second, at=float(second))

    assert len(rates.all) == KEPT
