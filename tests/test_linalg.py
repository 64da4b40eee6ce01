"""linalg beyond its specs: what has no numpy reference, singular matrices, stacks in which one matrix is wrong."""

import numpy as np
import pytest

import tessel as torch

GENERATOR = np.random.default_rng(0)


def drawn(*shape):
    return torch.from_numpy(GENERATOR.standard_normal(shape))


def close(a, b, rtol=1e-9, atol=1e-10):
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=rtol, atol=atol)


def test_errors_are_linalg_errors():
    assert issubclass(torch.linalg.LinAlgError, RuntimeError)
    singular = torch.tensor([[1.0, 2.0], [2.0, 4.0]])
    for call in (torch.linalg.inv, torch.inverse, torch.linalg.cholesky, lambda a: torch.linalg.solve(a, a)):
        with pytest.raises(torch.linalg.LinAlgError):
            call(singular)


def test_the_message_names_the_matrix_of_the_stack():
    stack = torch.stack([torch.eye(2), torch.zeros(2, 2)])
    with pytest.raises(torch.linalg.LinAlgError, match=r"^inv: \(Batch element 1\) The diagonal element 1 is zero"):
        torch.linalg.inv(stack)
    with pytest.raises(torch.linalg.LinAlgError, match=r"^cholesky: \(Batch element 1\) .* order 1 is not positive"):
        torch.linalg.cholesky(stack)


def test_info_instead_of_errors():
    regular = torch.tensor([[2.0, 1.0, 0.0], [1.0, 3.0, 1.0], [0.0, 1.0, 4.0]])
    spoilt = regular.clone()
    spoilt[2, 2] = -1
    lower, info = torch.linalg.cholesky_ex(torch.stack([regular, spoilt]))
    assert info.tolist() == [0, 3] and info.dtype == torch.int32
    close(lower[0] @ lower[0].mT, regular, 1e-6, 1e-6)

    singular = torch.tensor([[1.0, 2.0, 3.0], [2.0, 4.0, 7.0], [1.0, 2.0, 5.0]])
    inverse, info = torch.linalg.inv_ex(torch.stack([regular, singular]))
    assert info[0] == 0 and info[1] > 0
    close(inverse[0] @ regular, torch.eye(3), 1e-6, 1e-6)
    found, info = torch.linalg.solve_ex(torch.stack([regular, singular]), torch.ones(3, 1))
    assert info[0] == 0 and info[1] > 0
    close(regular @ found[0], torch.ones(3, 1), 1e-6, 1e-6)


def test_lu_of_many_columns_equals_its_parts():
    """More columns than one block, and a pivot that is zero."""
    for m, n in ((70, 70), (70, 40), (40, 70)):
        a = drawn(2, m, n)
        p, lower, upper = torch.linalg.lu(a)
        close(p @ lower @ upper, a)
        assert bool((lower.abs() <= 1).all())
    packed, pivots, info = torch.linalg.lu_factor_ex(torch.tensor([[0.0, 1.0], [0.0, 2.0]]))
    assert info == 1 and pivots.tolist() == [1, 2]


@pytest.mark.parametrize("shape", [(2, 4, 4), (5, 3), (3, 5)])
def test_lu_is_differentiable_twice(shape):
    a = drawn(*shape).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: torch.linalg.lu_factor(x)[0], a)
    assert torch.autograd.gradgradcheck(lambda x: torch.linalg.lu(x)[1:], a)


def test_large_triangles():
    a, b = drawn(150, 150).tril() + 5 * torch.eye(150, dtype=torch.float64), drawn(150, 3)
    close(a @ torch.linalg.solve_triangular(a, b, upper=False), b)
    close(a.mT @ torch.linalg.solve_triangular(a.mT, b, upper=True), b)
    close(torch.linalg.solve_triangular(a.mT, b.mT, upper=True, left=False) @ a.mT, b.mT)


def test_a_zero_on_a_triangles_diagonal_divides():
    found = torch.linalg.solve_triangular(torch.tensor([[1.0, 1.0], [0.0, 0.0]]), torch.ones(2, 1), upper=True)
    assert found[1].item() == float("inf") and found[0].item() == float("-inf")


def test_determinants_of_singular_matrices_have_gradients():
    """d det / d A is the matrix of cofactors, which is not zero where only one singular value is."""
    a = torch.tensor([[1.0, 2.0], [2.0, 4.0]], dtype=torch.float64, requires_grad=True)
    torch.det(a).backward()
    close(a.grad, torch.tensor([[4.0, -2.0], [-2.0, 1.0]], dtype=torch.float64))
    assert torch.logdet(torch.zeros(2, 2)).item() == float("-inf")
    assert np.isnan(torch.logdet(torch.tensor([[0.0, 1.0], [1.0, 0.0]])).item())


def test_exponentials_of_one_stack_keep_their_digits():
    """A small matrix beside a large one is not squared as often."""
    small, large = 1e-3 * drawn(3, 3), 30 * drawn(3, 3)
    both = torch.linalg.matrix_exp(torch.stack([small, large]).float())
    close(both[0].double(), torch.linalg.matrix_exp(small), 3e-7, 3e-7)
    close(torch.linalg.matrix_exp(small) @ torch.linalg.matrix_exp(-small), torch.eye(3, dtype=torch.float64))


def test_least_squares():
    a, b = drawn(6, 3), drawn(6, 2)
    found = torch.linalg.lstsq(a, b, driver="gelsd")
    wanted, residuals, rank, s = np.linalg.lstsq(a.numpy(), b.numpy(), rcond=None)
    close(found.solution, torch.from_numpy(wanted))
    close(found.residuals, torch.from_numpy(residuals))
    close(found.singular_values, torch.from_numpy(s))
    assert found.rank == rank


def test_spectra_of_symmetric_matrices_are_differentiable_twice():
    def of_symmetric(x):
        w, v = torch.linalg.eigh(x + x.mT)
        return w, v.abs()

    assert torch.autograd.gradgradcheck(of_symmetric, drawn(3, 3).requires_grad_())


@pytest.mark.parametrize("hermitian", [False, True])
def test_ldl(hermitian):
    pytest.importorskip("scipy")
    a = drawn(2, 5, 5)
    a = a + a.mT
    b = drawn(2, 5, 3)
    packed, pivots, info = torch.linalg.ldl_factor_ex(a, hermitian=hermitian)
    assert pivots.dtype == torch.int32 and info.tolist() == [0, 0]
    assert [t.tolist() for t in torch.linalg.ldl_factor(a)] == [packed.tolist(), pivots.tolist()]
    close(a @ torch.linalg.ldl_solve(packed, pivots, b), b)
    with pytest.raises(RuntimeError, match="^ldl_solve: pivots must be between"):
        torch.linalg.ldl_solve(packed, pivots * 0, b)


def test_low_precision_is_refused():
    for op in (torch.linalg.inv, torch.linalg.qr, torch.linalg.eigh, torch.linalg.cholesky):
        with pytest.raises(RuntimeError, match="Low precision"):
            op(torch.eye(2, dtype=torch.bfloat16))


def test_low_rank():
    torch.manual_seed(0)
    a = drawn(30, 3) @ drawn(3, 12)
    for x in (a, a.mT):
        u, s, v = torch.svd_lowrank(x, q=4)
        close((u * s) @ v.mT, x, 1e-7, 1e-7)
    u, s, v = torch.pca_lowrank(a, q=4)
    close((u * s) @ v.mT, a - a.mean(0), 1e-7, 1e-7)
    with pytest.raises(ValueError, match="pca_lowrank: q"):
        torch.pca_lowrank(a, q=13)
